import Foundation
import Testing

extension KernelSuite {
    /// Containers of which no hook tells, found by what their runtime keeps of them; and containers that have something in common.
    @Suite("Containers that run already")
    struct FoundContainerTests {
        private static let policy = """
            apiVersion: security.kubearmor.com/v1
            kind: KubeArmorPolicy
            metadata: {name: ksp, namespace: default}
            spec:
              selector: {matchLabels: {app: web}}
              severity: 7
              file: {matchPaths: [{path: /etc/shadow}], matchDirectories: [{dir: /secret/, recursive: true}]}
              process: {matchPaths: [{path: /bin/denied}]}
              action: Block

            """

        /// A container that runs, with the state that its runtime keeps in a directory of the test's own.
        private final class Running {
            private let options: [String]
            private let process = Process()
            let name: String

            init(_ bundle: ContainerBundle, _ runtime: ContainerBundle.Runtime, hook: [String]? = nil) throws {
                let states = bundle.directory + "/" + runtime.rawValue
                options = ["--root", states]
                try bundle.configure(["/bin/sleep", "300"], profile: nil, hook: hook) { config in
                    config["annotations"] = ["io.portcullis.name": "web", "io.portcullis.label.app": "web"]
                }
                var command = bundle.command(runtime)
                name = command.last ?? ""
                guard let place = command.lastIndex(of: "run") else { throw ScratchError(text: "no command") }
                command.insert(contentsOf: options, at: place)
                process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
                process.arguments = command
                try process.run()
                AgentUnderTest.wait { [options, name] in
                    let state =
                        (try? String(contentsOfFile: "\(states)/\(name)/state.json", encoding: .utf8))
                        ?? (try? String(contentsOfFile: "\(states)/\(name)/status", encoding: .utf8))
                    return state != nil && Self.pid(options, name) != nil
                }
            }

            /// Its first process, when that runs the program.
            private static func pid(_ options: [String], _ name: String) -> Int32? {
                let states = options[1]
                for (file, key) in [("state.json", "init_process_pid"), ("status", "pid")] {
                    guard let data = FileManager.default.contents(atPath: "\(states)/\(name)/\(file)"),
                        let state = try? JSONSerialization.jsonObject(with: data) as? [String: Any],
                        let pid = state[key] as? Int,
                        let program = try? String(contentsOfFile: "/proc/\(pid)/comm", encoding: .utf8)
                    else { continue }
                    if program == "sleep\n" { return Int32(pid) }
                }
                return nil
            }

            /// Runs a program in it, as `runc exec` does.
            func run(_ words: String...) -> Shell.Result {
                guard let pid = Self.pid(options, name) else { return Shell.run("false") }
                return Shell.run(
                    ["nsenter", "--target", "\(pid)", "--mount", "--pid", "--root", "--wd", "--"] + words)
            }

            func end() {
                guard process.isRunning else { return }
                if let pid = Self.pid(options, name) { kill(pid, SIGKILL) }
                process.waitUntilExit()
            }

            deinit { end() }
        }

        private func agent(_ states: String...) throws -> AgentUnderTest {
            try AgentUnderTest(
                Scratch(), policies: ["p.yaml": Self.policy],
                options: states.flatMap { ["--container-states", $0] })
        }

        private func isDenied(_ container: Running, _ path: String) -> Bool {
            container.run("/bin/cat", path).error.contains("Operation not permitted")
        }

        @Test(arguments: ContainerBundle.Runtime.allCases) func oneThatRunsWhenTheAgentStartsIsHeld(
            runtime: ContainerBundle.Runtime
        ) throws {
            // The bundle's own agent is not asked.
            let bundle = try ContainerBundle(try agent("/nowhere"), .overlay)
            let container = try Running(bundle, runtime)
            #expect(container.run("/bin/cat", "/etc/shadow").output == "SECRET\n")
            let agent = try agent(bundle.directory + "/" + runtime.rawValue)
            AgentUnderTest.wait { agent.log.contains("container \(container.name) runs already; it is held") }
            #expect(isDenied(container, "/etc/shadow") && isDenied(container, "/secret/deep/file"), "\(agent.log)")
            #expect(container.run("/bin/denied", "echo", "ran").output.isEmpty)
            #expect(container.run("/bin/cat", "/etc/plain").output == "PLAIN\n")
            let alerts = agent.alerts(atLeast: 3)
            #expect(alerts.count == 3, "\(alerts.map(\.fields))")
            for alert in alerts {
                #expect(alert["ContainerID"] == container.name && alert["ContainerName"] == "web")
                #expect(alert["Labels"] == "app=web" && alert["PolicyName"] == "ksp" && alert["Action"] == "Block")
                #expect(alert["NamespaceName"] == "container_namespace")
            }
            container.end()
            AgentUnderTest.wait { !agent.tool("status").output.contains("container web") }
            #expect(try FileManager.default.contentsOfDirectory(atPath: agent.directory + "/state/containers").isEmpty)
        }

        @Test func oneThatStartsLaterIsHeldSoon() throws {
            let bundle = try ContainerBundle(try agent("/nowhere"), .overlay)
            // A directory of directories, as containerd and users have them.
            let agent = try agent(bundle.directory + "/*")
            let container = try Running(bundle, .runc)
            AgentUnderTest.wait { agent.log.contains("it is held from now on") }
            #expect(isDenied(container, "/etc/shadow"), "\(agent.log)")
            // What is known is not told of again, also not by another front.
            if let pid = agent.pid(of: "front") { kill(pid, SIGKILL) }
            AgentUnderTest.wait { agent.tool("status").output.contains("container web") }
            #expect(isDenied(container, "/etc/shadow"))
            #expect(agent.log.components(separatedBy: "runs already").count == 2, "\(agent.log)")
        }

        /// A file system that two containers have is held for one when the other has ended.
        @Test func whatTwoContainersHaveIsHeldUntilTheLastEnds() throws {
            let agent = try agent("/nowhere")
            let bundle = try ContainerBundle(agent, .overlay)
            let (one, other) = (try Running(bundle, .runc, hook: []), try Running(bundle, .runc, hook: []))
            #expect(isDenied(one, "/etc/shadow") && isDenied(other, "/etc/shadow"))
            one.end()
            AgentUnderTest.wait { !agent.tool("status").output.contains("containers web, web") }
            #expect(isDenied(other, "/etc/shadow") && isDenied(other, "/secret/deep/file"))
            #expect(other.run("/bin/denied", "echo", "ran").output.isEmpty)
        }
    }
}

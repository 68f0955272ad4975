import Foundation
import Testing

extension KernelSuite {
    /// B18: a library that somebody has the loader put into an allowed program.
    @Suite("B18")
    struct B18PreloadTests {
        private static let secret = "{path: \"@/prot/secret\", fromSource: [{path: \"@/bin/reader\"}]}"

        /// A program that may read the secret, and a library that reads it in its name.
        private func prepare() throws -> (Scratch, library: String, reader: String) {
            let scratch = try Scratch()
            let (library, reader) = (scratch.path("work/evil.so"), scratch.path("bin/reader"))
            let source = """
                #include <fcntl.h>
                #include <unistd.h>
                __attribute__((constructor)) static void run(void) {
                    char text[64];
                    ssize_t length = read(open(SECRET, O_RDONLY), text, sizeof text);
                    if (length > 0) write(1, text, (size_t)length);
                }
                """
            let built = Shell.run(
                [
                    "cc", "-shared", "-fPIC", "-DSECRET=\"\(scratch.path("prot/secret"))\"", "-x", "c", "-o", library,
                    "-",
                ],
                input: source)
            #expect(built.status == 0, "\(built)")
            try FileManager.default.copyItem(atPath: "/usr/bin/true", toPath: reader)
            return (scratch, library, reader)
        }

        private func attack(_ agent: AgentUnderTest, _ library: String, _ reader: String, tree policy: String?)
            -> Shell.Result
        {
            let words = ["env", "LD_PRELOAD=\(library)", reader]
            guard let policy else { return agent.run(words) }
            return agent.tool(["run", "--policies", policy, "--"] + words)
        }

        @Test func underAnAllowListOfFilesTheLibraryIsNotListed() throws {
            let (scratch, library, reader) = try prepare()
            let agent = try AgentUnderTest(scratch, policies: [:], options: ["--file-posture", "block"])
            let policy = scratch.outside + "/own.yaml"
            try """
            apiVersion: security.kubearmor.com/v1
            kind: KubeArmorPolicy
            metadata: {name: own, namespace: default}
            spec:
              selector: {matchLabels: {app: any}}
              file:
                matchPaths: [\(Self.secret), {path: "@/bin/reader"}]
                matchDirectories: [{dir: /usr/, recursive: true}, {dir: /etc/, recursive: true}, {dir: /proc/, recursive: true}, {dir: /dev/, recursive: true}, {dir: /sys/, recursive: true}]
              action: Allow

            """.replacingOccurrences(of: "@", with: scratch.root)
                .write(toFile: policy, atomically: true, encoding: .utf8)
            // The control: outside of the tree it works.
            #expect(attack(agent, library, reader, tree: nil).output == "SECRET\n")
            let result = attack(agent, library, reader, tree: policy)
            #expect(result.output == "", "\(result)")
            #expect(result.error.contains("cannot be preloaded"), "\(result)")
            let alerts = agent.alerts(atLeast: 1) { $0["Resource"] == library }
            #expect(!alerts.isEmpty)
            #expect(alerts.allSatisfy { $0["Action"] == "Block" && $0["PolicyName"] == "DefaultPosture" })
        }

        /// A rule with a source trusts the whole program, and with it what it loads: that is written down, and asserted here.
        @Test func underARuleWithASourceItHasTheProgramsRights() throws {
            let (scratch, library, reader) = try prepare()
            let agent = try AgentUnderTest(
                scratch,
                policies: [
                    "p.yaml": AgentUnderTest.policy(
                        file: "matchPaths: [{path: \"@/prot/secret\", fromSource: [{path: \"@/bin/allowed\"}]}]")
                ])
            #expect(attack(agent, library, reader, tree: nil).output == "SECRET\n")
            // The same library in the program that the rule names is denied like that program.
            let denied = attack(agent, library, scratch.path("bin/allowed"), tree: nil)
            #expect(!denied.output.contains("SECRET"), "\(denied)")
            #expect(agent.alerts(atLeast: 1).map { $0["ProcessName"] } == [scratch.path("bin/allowed")])
        }
    }
}

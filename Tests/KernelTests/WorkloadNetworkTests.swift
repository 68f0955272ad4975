import Foundation
import LinuxKernel
import Testing

extension KernelSuite {
    /// Rules on packets of workloads that share the agent's network.
    @Suite("Networks of workloads")
    struct WorkloadNetworkTests {
        private static let victim = AgentUnderTest.binaries + "/portcullis-victim"

        /// A program; ended with the test.
        private final class Background {
            let process = Process()
            private let output = Foundation.Pipe()

            init(_ words: [String]) throws {
                process.executableURL = URL(fileURLWithPath: words[0])
                process.arguments = Array(words.dropFirst())
                process.standardOutput = output
                try process.run()
            }

            /// The first line that it prints, without its end.
            func line() -> String {
                var bytes: [UInt8] = []
                while let byte = try? output.fileHandleForReading.read(upToCount: 1)?.first, byte != 0x0A {
                    bytes.append(byte)
                }
                return String(decoding: bytes, as: UTF8.self)
            }

            deinit {
                kill(process.processIdentifier, SIGKILL)
                process.waitUntilExit()
            }
        }

        private static func networkPolicy(_ items: String, _ direction: String, selector: String) -> String {
            """
            apiVersion: security.kubearmor.com/v1
            kind: KubeArmorNetworkPolicy
            metadata: {name: net}
            spec:
              \(selector)
              severity: 4
              message: of the workload
              \(direction): [\(items)]
              action: Block

            """
        }

        /// What a tree's packets are told by: before Linux 5.13 the packet filter knows no cgroup of version 2.
        private static let scope =
            Shell.run(AgentUnderTest.binaries + "/portcullis", "probe").output.split(separator: "\n")
                .contains { $0.hasPrefix("nftables.cgroupv2 ") && $0.split(separator: " ")[1] == "yes" }
            ? "cgroup v2" : "net_cls"

        private static let everybody = "nodeSelector: {matchLabels: {kubearmor.io/hostname: \"*\"}}"
        private static let web = "selector: {matchLabels: {app: web}}"

        private func treePolicies(_ network: TestNetwork, _ policies: String...) throws -> [String] {
            let directory = network.outside + "/own"
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            for (index, text) in policies.enumerated() {
                try text.write(toFile: directory + "/\(index).yaml", atomically: true, encoding: .utf8)
            }
            return ["--policies", directory]
        }

        /// How many datagrams of the tree or of somebody else arrived.
        private func receiver(_ network: TestNetwork, _ version: Int, _ port: UInt16) throws -> TestSocket {
            let receiver = try network.other.run { try TestSocket(version, SOCK_DGRAM) }
            try receiver.bind(version == 4 ? "0.0.0.0" : "::", port)
            return receiver
        }

        private func count(_ receiver: TestSocket) -> Int {
            var count = 0
            while receiver.receive() != nil { count += 1 }
            return count
        }

        private static func datagrams(
            _ network: TestNetwork, _ version: Int, _ port: Int, count: Int = 1, size: Int = 1
        )
            -> [String]
        {
            [victim, "datagrams", network.other.address(version), "\(port)", "\(count)", "\(size)"]
        }

        // MARK: - Trees

        @Test(arguments: [4, 6]) func whatATreeSendsIsHeldAndWhatOthersSendIsNot(_ version: Int) throws {
            let network = try TestNetwork()
            let before = Self.treeCgroups
            let agent = try AgentUnderTest(network, policies: [:])
            let options = try treePolicies(
                network,
                Self.networkPolicy(
                    "{to: [{ipBlock: {cidr: 10.77.0.0/24}}, {ipBlock: {cidr: \"fd77::/64\"}}], "
                        + "ports: [{port: \"4001\", protocol: UDP}]}, {ports: [{port: \"4002\", protocol: UDP}], action: Audit}",
                    "egress", selector: Self.everybody))
            let (blocked, audited) = (try receiver(network, version, 4001), try receiver(network, version, 4002))
            func tree(_ words: [String]) -> Shell.Result { agent.tool(["run"] + options + ["--"] + words) }
            #expect(tree(Self.datagrams(network, version, 4001)).output == "sent 0 errno 1\n")
            #expect(count(blocked) == 0)
            #expect(tree(Self.datagrams(network, version, 4002)).output == "sent 1 errno 0\n")
            #expect(count(audited) == 1)
            // Somebody else, at the same time.
            #expect(agent.run(Self.datagrams(network, version, 4001)).output == "sent 1 errno 0\n")
            #expect(count(blocked) == 1)
            // What a program of the tree starts is of the tree.
            let result = tree(["sh", "-c", "sh -c '\(Self.datagrams(network, version, 4001).joined(separator: " "))'"])
            #expect(result.output == "sent 0 errno 1\n", "\(result)")
            #expect(count(blocked) == 0)
            let found = agent.alerts(atLeast: 3)
            #expect(found.map { $0["Action"] } == ["Block", "Audit", "Block"], "\(found.map(\.fields))")
            #expect(found.allSatisfy { $0["PolicyName"] == "net" && $0["Resource"] == "EGRESS" })
            // A tree that has ended leaves nothing behind; what an agent that was killed left may go, too.
            #expect(network.tables == "")
            let end = Date().addingTimeInterval(60)
            while !before.isSuperset(of: Self.treeCgroups), Date() < end { AgentUnderTest.pause() }
            #expect(before.isSuperset(of: Self.treeCgroups))
        }

        /// The cgroups that were made for trees.
        private static var treeCgroups: Set<String> {
            let mounts = (try? MountTable.read()) ?? []
            let roots = mounts.filter { $0.type == Array("cgroup2".utf8) }.map {
                String(decoding: $0.mountPoint, as: UTF8.self)
            }
            return Set(
                roots.flatMap { (try? FileManager.default.contentsOfDirectory(atPath: $0)) ?? [] }.filter {
                    $0.hasPrefix("portcullis-tree")
                })
        }

        @Test(arguments: [4, 6]) func whatArrivesForATreeIsHeld(_ version: Int) throws {
            let network = try TestNetwork()
            let agent = try AgentUnderTest(network, policies: [:])
            let options = try treePolicies(
                network,
                Self.networkPolicy("{ports: [{port: \"4003\", protocol: UDP}]}", "ingress", selector: Self.everybody))
            let any = version == 4 ? "0.0.0.0" : "::"
            let sender = try network.other.run { try TestSocket(version, SOCK_DGRAM) }
            for (port, arrives) in [("4003", 0), ("4004", 1)] {
                let tree = try Background(
                    network.enter + [network.binaries + "/portcullis", "run", "--socket", agent.socket] + options + [
                        "--", Self.victim, "receive", any, port, "600",
                    ])
                #expect(tree.line() == "ready")
                #expect(sender.send(to: network.own.address(version), UInt16(port) ?? 0) == 0)
                #expect(tree.line() == "received \(arrives)")
            }
            // The same port of somebody else's.
            let other = try Background(network.enter + [Self.victim, "receive", any, "4003", "600"])
            #expect(other.line() == "ready")
            #expect(sender.send(to: network.own.address(version), 4003) == 0)
            #expect(other.line() == "received 1")
            let found = agent.alerts(atLeast: 1)
            #expect(found.map { $0["Resource"] } == ["INGRESS"], "\(found.map(\.fields))")
        }

        @Test func statusTellsHowATreesPacketsAreTold() throws {
            let network = try TestNetwork()
            let agent = try AgentUnderTest(network, policies: [:])
            let options = try treePolicies(network, Self.networkPolicy("{}", "egress", selector: Self.everybody))
            let tree = try Background(
                network.enter + [network.binaries + "/portcullis", "run", "--socket", agent.socket] + options + [
                    "--", Self.victim, "receive", "127.0.0.1", "4003", "60000",
                ])
            #expect(tree.line() == "ready")
            let status = agent.tool("status").output
            #expect(status.contains("nftables (\(Self.scope))"), "\(status)")
            #expect(status.contains("can leave"), "\(status)")
        }

        /// The rules of a tree outlive the worker that made them, and hold for what the tree starts afterwards.
        @Test func aDeadWorkerLeavesATreesRulesInForce() throws {
            let network = try TestNetwork()
            let agent = try AgentUnderTest(network, policies: [:])
            let options = try treePolicies(
                network,
                Self.networkPolicy("{ports: [{port: \"4001\", protocol: UDP}]}", "egress", selector: Self.everybody))
            let go = network.outside + "/go"
            let send = Self.datagrams(network, 4, 4001).joined(separator: " ")
            let tree = try Background(
                network.enter + [network.binaries + "/portcullis", "run", "--socket", agent.socket] + options + [
                    "--", "sh", "-c", "echo ready; while ! test -e \(go); do sleep 0.02; done; \(send); exec sleep 60",
                ])
            #expect(tree.line() == "ready")
            let receiver = try receiver(network, 4, 4001)
            let worker = try #require(agent.pid(of: "worker"))
            kill(worker, SIGKILL)
            while agent.pid(of: "worker") == worker { AgentUnderTest.pause() }
            // The next one knows the tree, and listens.
            AgentUnderTest.wait { agent.tool("status").output.contains("nftables (\(Self.scope))") }
            #expect(agent.run(Self.datagrams(network, 4, 4001)).output == "sent 1 errno 0\n")
            #expect(count(receiver) == 1)
            _ = FileManager.default.createFile(atPath: go, contents: nil)
            #expect(tree.line() == "sent 0 errno 1")
            #expect(count(receiver) == 0)
            #expect(agent.alerts(atLeast: 1).map { $0["PolicyName"] } == ["net"])
        }

        // MARK: - Containers

        /// A container that shares the network of the agent has rules of its own, which a reload of others' leaves in force.
        @Test(arguments: [4, 6]) func aContainerThatSharesTheNetworkIsToldByItsCgroup(_ version: Int) throws {
            let network = try TestNetwork()
            let agent = try AgentUnderTest(
                network,
                policies: [
                    "p.yaml": Self.networkPolicy(
                        "{ports: [{port: \"4001\", protocol: UDP}], limit: 10K, duration: 1h}", "egress",
                        selector: Self.web)
                ])
            let bundle = try ContainerBundle(agent)
            bundle.sharesNetwork = true
            let go = bundle.directory + "/rootfs/data/go"
            let size = version == 4 ? 972 : 952
            let send = "portcullis-victim datagrams \(network.other.address(version))"
            try bundle.configure([
                "/bin/sh", "-c",
                "\(send) 4001 20 \(size); \(send) 4002 20 \(size); while ! test -e /data/go; do sleep 0.05; done; \(send) 4001 1 1",
            ])
            let (blocked, passed) = (try receiver(network, version, 4001), try receiver(network, version, 4002))
            let container = try Background(["/usr/bin/env"] + network.enter + bundle.command())
            // Ten of a thousand bytes.
            #expect(container.line() == "sent 10 errno 1")
            #expect(container.line() == "sent 20 errno 0")
            #expect(count(passed) == 20 && count(blocked) == 10)
            // Somebody else has no quota.
            #expect(
                agent.run(Self.datagrams(network, version, 4001, count: 20, size: size)).output == "sent 20 errno 0\n")
            #expect(count(blocked) == 20)
            let status = agent.tool("status").output
            #expect(status.contains("nftables (\(Self.scope))"), "\(status)")
            try Self.networkPolicy("{ports: [{port: \"4009\"}]}", "egress", selector: Self.everybody)
                .replacingOccurrences(of: "name: net", with: "name: other").write(
                    toFile: network.outside + "/other.yaml", atomically: true, encoding: .utf8)
            #expect(agent.tool("apply", "-f", network.outside + "/other.yaml").status == 0)
            _ = FileManager.default.createFile(atPath: go, contents: nil)
            #expect(container.line() == "sent 0 errno 1")
            #expect(count(blocked) == 0)
            let found = agent.alerts(atLeast: 1)
            #expect(found.count == 1, "\(found.map(\.fields))")
            #expect(
                found.allSatisfy {
                    $0["PolicyName"] == "net" && $0["ContainerName"] == "web" && $0["Resource"] == "EGRESS"
                        && $0["Action"] == "Block"
                })
        }

        /// In a network of its own: a reload of the host's rules leaves the container's in force.
        @Test func aReloadLeavesAContainersRulesInForce() throws {
            let network = try TestNetwork()
            let agent = try AgentUnderTest(
                network,
                policies: [
                    "p.yaml": Self.networkPolicy(
                        "{ports: [{port: \"4001\", protocol: UDP}], limit: 10K, duration: 1h}", "egress",
                        selector: Self.web)
                ])
            let bundle = try ContainerBundle(agent)
            let go = bundle.directory + "/rootfs/data/go"
            // The other end of the cable is the container's: it sends to where the agent is.
            bundle.networkNamespace = "/run/netns/\(network.other.namespace)"
            let send = "portcullis-victim datagrams \(network.own.ipv4)"
            try bundle.configure([
                "/bin/sh", "-c",
                "\(send) 4002 20 972; \(send) 4001 20 972; while ! test -e /data/go; do sleep 0.05; done; \(send) 4001 1 1",
            ])
            let receiver = try network.own.run { try TestSocket(4, SOCK_DGRAM) }
            try receiver.bind("0.0.0.0", 4001)
            let container = try Background(["/usr/bin/env"] + bundle.command())
            #expect(container.line() == "sent 20 errno 0")
            #expect(container.line() == "sent 10 errno 1")
            let status = agent.tool("status").output
            #expect(status.contains("nftables (own network namespace)"), "\(status)")
            try Self.networkPolicy("{ports: [{port: \"4009\"}]}", "egress", selector: Self.everybody)
                .replacingOccurrences(of: "name: net", with: "name: other").write(
                    toFile: network.outside + "/other.yaml", atomically: true, encoding: .utf8)
            #expect(agent.tool("apply", "-f", network.outside + "/other.yaml").status == 0)
            _ = FileManager.default.createFile(atPath: go, contents: nil)
            #expect(container.line() == "sent 0 errno 1")
            #expect(count(receiver) == 10)
            let found = agent.alerts(atLeast: 1)
            #expect(found.map { $0["ContainerName"] } == ["web"], "\(found.map(\.fields))")
        }
    }
}

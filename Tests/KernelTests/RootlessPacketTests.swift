import Foundation
import Testing

extension KernelSuite {
    /// Network policies of an agent without privileges: the worker in its containers' user namespace has rights over their networks, and over no other.
    @Suite("Packets of rootless containers")
    struct RootlessPacketTests {
        private static let policy = """
            apiVersion: security.kubearmor.com/v1
            kind: KubeArmorNetworkPolicy
            metadata: {name: net}
            spec:
              selector: {matchLabels: {app: web}}
              severity: 4
              egress: [{ports: [{port: "4001", protocol: UDP}], limit: 1K, duration: 1h}]
              ingress: [{ports: [{port: "4003", protocol: UDP}], limit: 1K, duration: 1h}]
              action: Block

            """

        /// Joins the network of a container to an end of the test's by a cable: an engine's own way out of it (slirp4netns, pasta) is not needed.
        private func connect(_ process: Int32, to end: TestNetwork.End) throws {
            try Shell.check(
                "ip", "-n", end.namespace, "link", "add", "pc-box", "type", "veth", "peer", "name", "eth0", "netns",
                "\(process)")
            try Shell.check("ip", "-n", end.namespace, "addr", "add", "10.88.0.2/24", "dev", "pc-box")
            try Shell.check("ip", "-n", end.namespace, "link", "set", "pc-box", "up")
            for words in [["addr", "add", "10.88.0.1/24", "dev", "eth0"], ["link", "set", "eth0", "up"]] {
                try Shell.check(["nsenter", "-t", "\(process)", "-n", "ip"] + words)
            }
        }

        /// The container's first process, known by a word of its command that nobody else has.
        private func process(with word: String) -> Int32? {
            let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
            return all.compactMap { Int32($0) }.first { pid in
                FileManager.default.contents(atPath: "/proc/\(pid)/cmdline").map {
                    String(decoding: $0, as: UTF8.self).contains(word)
                } == true
            }
        }

        @Test(arguments: ContainerBundle.Runtime.allCases) func networkPoliciesHoldInItsNetwork(
            runtime: ContainerBundle.Runtime
        ) throws {
            let network = try TestNetwork(ownedBy: Scratch.user)
            let agent = try AgentUnderTest(network, policies: ["p.yaml": Self.policy], options: ["--rootless"])
            let bundle = try ContainerBundle(agent, ownedBy: Scratch.user)
            let word = "go-\(UUID().uuidString.prefix(8))"
            let send = "portcullis-victim datagrams 10.88.0.2"
            try bundle.configure([
                "/bin/sh", "-c",
                "echo ready; while ! test -e /data/\(word); do sleep 0.05; done; \(send) 4001 9 472; \(send) 4002 9 472; "
                    + "portcullis-victim receive 0.0.0.0 4003 3000",
            ])
            let container = try Background(bundle.command(runtime), folder: network.outside)
            #expect(container.lines == ["ready"], "\(container.text) \(agent.log)")
            try connect(try #require(process(with: word)), to: network.other)
            let receivers = try [UInt16(4001), 4002].map { port in
                let receiver = try network.other.run { try TestSocket(4, SOCK_DGRAM) }
                try receiver.bind("0.0.0.0", port)
                return receiver
            }
            let sender = try network.other.run { try TestSocket(4, SOCK_DGRAM) }
            #expect(agent.tool("status").output.contains("nftables (own network namespace)"))
            _ = FileManager.default.createFile(atPath: "\(bundle.directory)/rootfs/data/\(word)", contents: nil)
            func line(_ index: Int) -> String? {
                let end = Date().addingTimeInterval(60)
                while container.lines.count <= index, container.isRunning, Date() < end { AgentUnderTest.pause() }
                return container.lines.dropFirst(index).first
            }
            // Two of five hundred bytes, each way.
            #expect(line(1) == "sent 2 errno 1" && line(2) == "sent 9 errno 0")
            #expect(line(3) == "ready")
            for _ in 0..<3 { #expect(sender.send([UInt8](repeating: 0, count: 472), to: "10.88.0.1", 4003) == 0) }
            #expect(line(4) == "received 2")
            for (receiver, count) in zip(receivers, [2, 9]) {
                for _ in 0..<count { #expect(receiver.receive() != nil) }
                #expect(receiver.receive() == nil)
            }
            let alerts = agent.alerts(atLeast: 2)
            #expect(alerts.map { $0["Resource"] } == ["EGRESS", "INGRESS"], "\(alerts.map(\.fields))")
            for alert in alerts {
                #expect(
                    alert["PolicyName"] == "net" && alert["ContainerName"] == "web" && alert["Action"] == "Block"
                        && alert["Enforcer"] == "NetworkPolicyEnforcer", "\(alert.fields)")
            }
            // The agent's own network is not the user's to filter, and has no rules.
            #expect(Shell.run("ip", "netns", "exec", network.own.namespace, "nft", "list", "tables").output == "")
        }
    }
}

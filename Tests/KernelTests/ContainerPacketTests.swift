import Foundation
import Testing

extension KernelSuite {
    /// Rules on sockets and names of containers that marks hold: none of their calls is seen, but what they send is.
    @Suite("Packets of containers that hooks tell of")
    struct ContainerPacketTests {
        /// Where a container's packets are.
        enum Network: CaseIterable, CustomTestStringConvertible {
            /// In the network of the agent, told by its cgroup.
            case shared
            /// In one of its own.
            case own

            var testDescription: String { self == .shared ? "shared network" : "own network" }

            func container(_ network: TestNetwork) -> TestNetwork.End { self == .shared ? network.own : network.other }

            func receiver(_ network: TestNetwork) -> TestNetwork.End { self == .shared ? network.other : network.own }
        }

        private static func policy(_ section: String, name: String = "ksp") -> String {
            """
            apiVersion: security.kubearmor.com/v1
            kind: KubeArmorPolicy
            metadata: {name: \(name), namespace: default}
            spec:
              selector: {matchLabels: {app: web}}
              severity: 7
              network: {\(section)}
              action: Block

            """
        }

        private static let victim = "/usr/bin/portcullis-victim"

        private func start(_ place: Network, _ section: String) throws -> (TestNetwork, AgentUnderTest, ContainerBundle)
        {
            let network = try TestNetwork()
            let agent = try AgentUnderTest(network, policies: ["p.yaml": Self.policy(section)])
            let bundle = try ContainerBundle(agent)
            bundle.sharesNetwork = place == .shared
            if place == .own { bundle.networkNamespace = "/run/netns/\(network.other.namespace)" }
            return (network, agent, bundle)
        }

        /// Runs a container whose only profile is the runtime's own, and gives what it printed.
        private func run(_ bundle: ContainerBundle, _ network: TestNetwork, _ words: [String]) throws -> String {
            try bundle.configure(words, profile: nil, hook: [])
            let result = Shell.run(["/usr/bin/env"] + network.enter + bundle.command())
            return result.output + result.error
        }

        private func expectAlert(
            _ alert: AgentUnderTest.Alert?, _ resource: String, name: String = "ksp",
            sourceLocation: SourceLocation = #_sourceLocation
        ) {
            let expected = [
                "PolicyName": name, "Type": "MatchedPolicy", "Operation": "Network", "Action": "Block",
                "Result": "Permission denied", "Enforcer": "nftables", "ContainerName": "web", "Resource": resource,
            ]
            for (key, value) in expected {
                #expect(alert?[key] == value, "\(key) \(alert?.fields ?? [:])", sourceLocation: sourceLocation)
            }
        }

        @Test(arguments: Network.allCases, [4, 6])
        func aProtocolThatItsPoliciesBlockDoesNotLeave(_ place: Network, _ version: Int) throws {
            let (network, agent, bundle) = try start(place, "matchProtocols: [{protocol: udp}]")
            let end = place.receiver(network)
            let (datagrams, stream) = try end.run {
                (try TestSocket(version, SOCK_DGRAM), try TestSocket(version, SOCK_STREAM))
            }
            let any = version == 4 ? "0.0.0.0" : "::"
            try datagrams.bind(any, 4001)
            try stream.bind(any, 4002)
            stream.listen()
            let address = end.address(version)
            let output = try run(
                bundle, network,
                [
                    "/bin/sh", "-c",
                    "\(Self.victim) datagrams \(address) 4001 3 1; \(Self.victim) connect \(address) 4002 9000",
                ])
            #expect(output == "sent 0 errno 1\nok\n")
            #expect(datagrams.receive() == nil && stream.accept() != nil)
            // Somebody else in the same network, under no policy.
            let sender = try place.container(network).run { try TestSocket(version, SOCK_DGRAM) }
            if place == .shared {
                #expect(sender.send(to: address, 4001) == 0)
                #expect(datagrams.receive() != nil)
            }
            let alerts = agent.alerts(atLeast: 1)
            #expect(alerts.count == 1, "\(alerts.map(\.fields))")
            expectAlert(alerts.first, "protocol=UDP")
        }

        @Test(arguments: Network.allCases) func aNameThatItsPoliciesBlockIsNotAskedFor(_ place: Network) throws {
            let (network, agent, bundle) = try start(
                place, "matchDNSQueries: [{domain: evil.test}, {domain: seen.test, action: Audit}]")
            let end = place.receiver(network)
            let resolver = try Resolver(at: end)
            let ask = "\(Self.victim) query \(end.ipv4):53 sendto"
            let output = try run(
                bundle, network, ["/bin/sh", "-c", "\(ask) www.evil.test; \(ask) seen.test; \(ask) other.test"])
            #expect(output == "errno 1 EPERM\nanswered\nanswered\n")
            #expect(resolver.takeNames() == ["seen.test", "other.test"])
            let alerts = agent.alerts(atLeast: 2)
            #expect(alerts.count == 2, "\(alerts.map(\.fields))")
            expectAlert(alerts.first, "evil.test")
            #expect(alerts.first?["Data"]?.contains("domain=www.evil.test") == true)
            #expect(alerts.last?["Resource"] == "seen.test" && alerts.last?["Action"] == "Audit")
            #expect(alerts.last?["ContainerName"] == "web")
        }

        /// Policies that come while it runs, and another worker.
        @Test(arguments: Network.allCases) func furtherPoliciesHoldAndOutliveAWorker(_ place: Network) throws {
            let (network, agent, bundle) = try start(place, "matchProtocols: [{protocol: sctp}]")
            let end = place.receiver(network)
            let resolver = try Resolver(at: end)
            try bundle.configure(
                [
                    "/bin/sh", "-c",
                    "echo ready; for i in 1 2 3; do while ! test -e /data/go$i; do sleep 0.05; done; "
                        + "\(Self.victim) query \(end.ipv4):53 sendto n$i.late.test; done",
                ], profile: nil, hook: [])
            let container = try Background(network.enter + bundle.command(), folder: network.outside)
            #expect(container.lines == ["ready"])
            func go(_ step: Int) -> String? {
                _ = FileManager.default.createFile(atPath: "\(bundle.directory)/rootfs/data/go\(step)", contents: nil)
                let end = Date().addingTimeInterval(60)
                while container.lines.count <= step, Date() < end { AgentUnderTest.pause() }
                return container.lines.dropFirst(step).first
            }
            /// Who reads what is logged in the container's network.
            func readers() -> String {
                let path = "/proc/thread-self/net/netfilter/nfnetlink_log"
                return (try? place.container(network).run { try String(contentsOfFile: path, encoding: .utf8) }) ?? ""
            }
            #expect(go(1) == "answered")
            let path = network.outside + "/late.yaml"
            try Self.policy("matchDNSQueries: [{domain: late.test}]", name: "late").write(
                toFile: path, atomically: true, encoding: .utf8)
            #expect(agent.tool("apply", "-f", path).status == 0)
            #expect(go(2) == "errno 1 EPERM")
            let scope = "nftables (\(place == .shared ? "cgroup v2" : "own network namespace"))"
            #expect(agent.tool("status").output.contains(scope))
            let before = readers()
            kill(try #require(agent.pid(of: "worker")), SIGKILL)
            // Refused all the while; told of from when the next one reads what is logged.
            AgentUnderTest.wait {
                let now = readers(); return !now.isEmpty && now != before
            }
            #expect(go(3) == "errno 1 EPERM")
            #expect(resolver.takeNames() == ["n1.late.test"])
            let alerts = agent.alerts(atLeast: 2)
            #expect(
                alerts.map { $0["Data"]?.contains("domain=n2.late.test") } == [true, false], "\(alerts.map(\.fields))")
            for alert in alerts { expectAlert(alert, "late.test", name: "late") }
        }
    }
}

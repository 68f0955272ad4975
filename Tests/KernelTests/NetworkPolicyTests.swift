import Foundation
import Testing

extension KernelSuite {
    /// Network policies between two network namespaces: what arrives is asked of the receiver.
    @Suite("Network policies")
    struct NetworkPolicyTests {
        enum Direction: String, CaseIterable { case ingress, egress }
        enum Transport: String { case tcp = "TCP", udp = "UDP", sctp = "SCTP" }

        /// A packet to a port.
        struct Packet {
            var transport: Transport
            var port: UInt16
            init(_ transport: Transport, _ port: UInt16) { (self.transport, self.port) = (transport, port) }
        }

        static func policy(
            _ name: String, _ items: String, _ direction: Direction = .ingress, action: String = "Block",
            node: String = "*"
        ) -> String {
            """
            apiVersion: security.kubearmor.com/v1
            kind: KubeArmorNetworkPolicy
            metadata: {name: \(name)}
            spec:
              nodeSelector: {matchLabels: {kubearmor.io/hostname: "\(node)"}}
              severity: 6
              tags: [net]
              message: found
              \(direction.rawValue): [\(items.replacingOccurrences(of: "@", with: direction == .ingress ? "from" : "to"))]
              action: \(action)

            """
        }

        /// Whether a packet arrived, and what its sender saw.
        private func send(
            _ packet: Packet, _ direction: Direction, _ version: Int, _ network: TestNetwork
        ) throws -> (arrived: Bool, error: Int32) {
            let (from, to) =
                direction == .ingress ? (network.other, network.own) : (network.own, network.other)
            let type: __socket_type =
                packet.transport == .tcp ? SOCK_STREAM : packet.transport == .udp ? SOCK_DGRAM : SOCK_RAW
            let number: Int32 = packet.transport == .sctp ? 132 : 0
            let sender = try from.run { try TestSocket(version, type, number) }
            let receiver = try to.run { try TestSocket(version, type, number) }
            let host = to.address(version)
            switch packet.transport {
            case .tcp:
                try receiver.bind(version == 4 ? "0.0.0.0" : "::", packet.port)
                receiver.listen()
                let connects = sender.connects(to: host, packet.port)
                return (receiver.accept() != nil, connects ? 0 : ETIMEDOUT)
            case .udp:
                try receiver.bind(version == 4 ? "0.0.0.0" : "::", packet.port)
                let error = sender.send(to: host, packet.port)
                return (receiver.receive() != nil, error)
            case .sctp:
                // The common header: ports, tag, checksum. Nobody here speaks SCTP, and raw sockets see it all the same.
                let header = [0x10, 0, UInt8(packet.port >> 8), UInt8(truncatingIfNeeded: packet.port)]
                let error = sender.send(header + [UInt8](repeating: 0, count: 8), to: host, 0)
                return (receiver.receive() != nil, error)
            }
        }

        struct Field: CustomTestStringConvertible, Sendable {
            var item: String
            var blocked: [(Transport, UInt16)]
            var passed: [(Transport, UInt16)]
            var testDescription: String { item }
        }

        static let fields = [
            Field(item: "{ports: [{port: \"4001\"}]}", blocked: [(.tcp, 4001)], passed: [(.tcp, 4002), (.udp, 4001)]),
            Field(
                item: "{ports: [{port: \"4001\", endPort: 4005}]}", blocked: [(.tcp, 4001), (.tcp, 4005)],
                passed: [(.tcp, 4000), (.tcp, 4006)]),
            Field(
                item: "{ports: [{port: \"4001\", protocol: UDP}]}", blocked: [(.udp, 4001)],
                passed: [(.tcp, 4001), (.udp, 4000)]),
            Field(
                item: "{ports: [{port: \"4001\", protocol: SCTP}]}", blocked: [(.sctp, 4001)],
                passed: [(.udp, 4001), (.sctp, 4002)]),
            Field(
                item:
                    "{ports: [{port: dns, protocol: UDP}, {port: ssh}, {port: \"4001\", endPort: 4003, protocol: udp}]}",
                blocked: [(.udp, 53), (.tcp, 22), (.udp, 4002)], passed: [(.tcp, 53), (.udp, 22), (.udp, 4004)]),
            Field(
                item: "{@: [{ipBlock: {cidr: 10.77.0.0/24}}, {ipBlock: {cidr: \"fd77::/64\"}}]}",
                blocked: [(.tcp, 4001), (.udp, 4001), (.sctp, 4001)], passed: []),
            Field(
                item: "{@: [{ipBlock: {cidr: 10.78.0.0/16}}, {ipBlock: {cidr: \"fd78::/16\"}}, "
                    + "{ipBlock: {cidr: 10.77.0.1/32}}, {ipBlock: {cidr: 10.77.0.2/32}}, {ipBlock: {cidr: \"fd77::1/128\"}}, "
                    + "{ipBlock: {cidr: \"fd77::2/128\"}}], ports: [{port: \"4001\"}, {port: \"4003\"}]}",
                blocked: [(.tcp, 4001), (.tcp, 4003)], passed: [(.tcp, 4002), (.udp, 4001)]),
            Field(
                item: "{@: [{ipBlock: {cidr: 10.77.1.0/24}}, {ipBlock: {cidr: \"fd77:0:0:1::/64\"}}]}", blocked: [],
                passed: [(.tcp, 4001), (.udp, 4001)]),
            Field(item: "{iface: [pc-own]}", blocked: [(.tcp, 4001), (.udp, 4002)], passed: []),
            Field(
                item: "{iface: [pc-own, pc-else], ports: [{port: \"4001\", protocol: UDP}]}", blocked: [(.udp, 4001)],
                passed: [(.udp, 4002)]),
            Field(item: "{iface: [pc-else]}", blocked: [], passed: [(.udp, 4001)]),
            Field(item: "{}", blocked: [(.udp, 4001), (.tcp, 4001)], passed: []),
            // The first that matches decides.
            Field(
                item: "{ports: [{port: \"4001\"}], action: Allow}, {ports: [{port: \"4000\", endPort: 4002}]}",
                blocked: [(.tcp, 4000), (.tcp, 4002)], passed: [(.tcp, 4001)]),
            Field(
                item: "{iface: [pc-own], ports: [{port: \"4001\"}], action: Allow}, {}", blocked: [(.tcp, 4002)],
                passed: [(.tcp, 4001)]),
        ]

        private func apply(_ agent: AgentUnderTest, _ text: String) throws {
            let file = agent.directory + "/applied.yaml"
            try text.write(toFile: file, atomically: true, encoding: .utf8)
            let result = agent.tool("apply", "-f", file)
            if result.status != 0 { throw ScratchError(text: result.error + result.output) }
        }

        private func alerts(
            _ agent: AgentUnderTest, _ packet: Packet, _ name: String, _ network: TestNetwork, _ version: Int,
            _ direction: Direction, atLeast count: Int
        ) -> [AgentUnderTest.Alert] {
            let destination = (direction == .ingress ? network.own : network.other).address(version)
            return agent.alerts(atLeast: count) { alert in
                alert["PolicyName"] == name
                    && alert["Data"]?.contains(
                        "DestinationIP=\(destination) DestinationPort=\(packet.port) Protocol=\(packet.transport.rawValue)"
                    )
                        == true
            }
        }

        @Test(arguments: Direction.allCases) func everyFieldHoldsWhatItNamesAndNothingElse(_ direction: Direction)
            throws
        {
            let network = try TestNetwork()
            let agent = try AgentUnderTest(network, policies: [:])
            #expect(network.tables == "")
            for (index, field) in Self.fields.enumerated() {
                let name = "case-\(index)"
                try apply(agent, Self.policy(name, field.item, direction))
                for version in [4, 6] {
                    for (transport, port) in field.passed {
                        let outcome = try send(Packet(transport, port), direction, version, network)
                        #expect(
                            outcome.arrived && outcome.error == 0, "\(field.item): \(transport) \(port) v\(version)")
                    }
                    for (transport, port) in field.blocked {
                        let packet = Packet(transport, port)
                        let outcome = try send(packet, direction, version, network)
                        #expect(!outcome.arrived, "\(field.item): \(transport) \(port) v\(version)")
                        // Of what arrives the sender learns nothing; what leaves is refused, TCP's first packet silently.
                        let expected = transport == .tcp ? ETIMEDOUT : direction == .ingress ? 0 : EPERM
                        #expect(outcome.error == expected, "\(field.item): \(transport) \(port) v\(version)")
                        let found = alerts(agent, packet, name, network, version, direction, atLeast: 1)
                        #expect(found.count == 1, "\(field.item): \(found.map(\.fields))")
                        #expect(found.first?["Resource"] == direction.rawValue.uppercased())
                        #expect(found.first?["Action"] == "Block" && found.first?["Severity"] == "6")
                        #expect(found.first?["Data"]?.hasSuffix(" Interface=pc-own") == true)
                    }
                }
                // What the kernel itself sends to its neighbours is blocked too, where a rule names everything.
                let all = agent.alerts { $0["PolicyName"] == name && $0["Data"]?.contains("Protocol=ICMPv6") == false }
                #expect(all.count == 2 * field.blocked.count, "\(field.item): \(all.map(\.fields))")
                #expect(agent.tool("delete", "nsp", name).status == 0)
            }
            #expect(network.tables == "")
        }

        /// No rule about one address family says anything of the other.
        @Test(arguments: [(4, 6, "10.77.0.2/32"), (6, 4, "fd77::2/128")])
        func aFamilyDoesNotLeakIntoTheOther(_ named: Int, _ other: Int, _ cidr: String) throws {
            let network = try TestNetwork()
            let item = "{@: [{ipBlock: {cidr: \"\(cidr)\"}}], ports: [{port: dns, protocol: UDP}]}"
            let agent = try AgentUnderTest(network, policies: ["p.yaml": Self.policy("dns", item, .egress)])
            #expect(try !send(Packet(.udp, 53), .egress, named, network).arrived)
            #expect(try send(Packet(.udp, 53), .egress, other, network).arrived)
            #expect(agent.alerts(atLeast: 1).count == 1)
        }

        @Test func anAuditedFlowPassesAndIsToldOfOnce() throws {
            let network = try TestNetwork()
            let item = "{ports: [{port: \"4001\", protocol: UDP}]}"
            let agent = try AgentUnderTest(network, policies: ["p.yaml": Self.policy("audit", item, action: "Audit")])
            let (sender, receiver) = (
                try network.other.run { try TestSocket(4, SOCK_DGRAM) },
                try network.own.run { try TestSocket(4, SOCK_DGRAM) }
            )
            try receiver.bind("0.0.0.0", 4001)
            for _ in 0..<20 {
                #expect(sender.send(to: network.own.ipv4, 4001) == 0)
                #expect(receiver.receive() != nil)
            }
            let found = agent.alerts(atLeast: 1)
            #expect(found.count == 1)
            #expect(found.first?["Action"] == "Audit" && found.first?["Result"] == "Passed")
            #expect(found.first?["Type"] == "MatchedNetworkPolicy" && found.first?["Operation"] == "NetworkFirewall")
            #expect(found.first?["Enforcer"] == "NetworkPolicyEnforcer")
            #expect(found.first?.number("HostPID") == nil && found.first?["UserName"] == nil)
        }

        /// Refused again and again, a flow is one alert; another flow is another.
        @Test func aRefusedFlowIsToldOfOnce() throws {
            let network = try TestNetwork()
            let agent = try AgentUnderTest(
                network, policies: ["p.yaml": Self.policy("p", "{ports: [{port: \"4001\", protocol: UDP}]}", .egress)])
            for count in 1...3 {
                let sender = try network.own.run { try TestSocket(4, SOCK_DGRAM) }
                for _ in 0..<10 { #expect(sender.send(to: network.other.ipv4, 4001) == EPERM) }
                #expect(agent.alerts(atLeast: count).count == count)
            }
        }

        @Test(arguments: ["block", "audit", "allow"]) func anAllowListClosesTheRest(_ posture: String) throws {
            let network = try TestNetwork()
            let agent = try AgentUnderTest(
                network,
                policies: ["p.yaml": Self.policy("web", "{ports: [{port: \"4001\"}]}", action: "Allow")],
                options: ["--network-posture", posture])
            for version in [4, 6] {
                #expect(try send(Packet(.tcp, 4001), .ingress, version, network).arrived)
                // The neighbours of IPv6 are found all the same, and loopback is never closed.
                let (inward, outward) = (
                    try send(Packet(.tcp, 4002), .ingress, version, network),
                    try send(Packet(.udp, 4003), .egress, version, network)
                )
                #expect(inward.arrived == (posture != "block"))
                #expect(outward.arrived == (posture != "block"))
                #expect(outward.error == (posture == "block" ? EPERM : 0))
            }
            try network.own.run {
                let (sender, receiver) = (try TestSocket(4, SOCK_DGRAM), try TestSocket(4, SOCK_DGRAM))
                try receiver.bind("127.0.0.1", 4009)
                #expect(sender.send(to: "127.0.0.1", 4009) == 0 && receiver.receive() != nil)
            }
            let found = agent.alerts(atLeast: posture == "allow" ? 0 : 4)
            #expect(found.count == (posture == "allow" ? 0 : 4), "\(found.map(\.fields))")
            #expect(found.allSatisfy { $0["PolicyName"] == "DefaultPosture" })
            #expect(found.allSatisfy { $0["Action"] == (posture == "block" ? "Block" : "Audit") })
        }

        /// So many bytes pass in a window, and again in the next one; each window that is used up is one alert.
        @Test func aQuotaLetsSoMuchPassAndBeginsAnew() throws {
            let network = try TestNetwork()
            let agent = try AgentUnderTest(
                network,
                policies: [
                    "p.yaml": Self.policy(
                        "quota", "{ports: [{port: \"4001\", protocol: UDP}], limit: 10K, duration: 3s}", .egress)
                ])
            let (sender, receiver) = (
                try network.own.run { try TestSocket(4, SOCK_DGRAM) },
                try network.other.run { try TestSocket(4, SOCK_DGRAM) }
            )
            try receiver.bind("0.0.0.0", 4001)
            for window in 1...2 {
                var errors: [Int32] = []
                for _ in 0..<20 {
                    errors.append(sender.send([UInt8](repeating: 0, count: 972), to: network.other.ipv4, 4001))
                }
                // 1000 bytes each with their headers: ten pass, the eleventh is more than 10 KiB.
                #expect(errors.prefix(10).allSatisfy { $0 == 0 } && errors.dropFirst(10).allSatisfy { $0 == EPERM })
                var arrived = 0
                while receiver.receive(50) != nil { arrived += 1 }
                #expect(arrived == 10)
                // What the item does not name is not counted.
                #expect(sender.send([UInt8](repeating: 0, count: 900), to: network.other.ipv4, 4002) == 0)
                let found = agent.alerts(atLeast: window)
                #expect(found.count == window, "\(found.map(\.fields))")
                #expect(found.last?["Data"]?.contains("QuotaLevel=host QuotaLimit=10K") == true)
                Thread.sleep(forTimeInterval: 3.2)
            }
        }

        @Test func aPolicyForOtherNodesIsNotForThisOne() throws {
            let network = try TestNetwork()
            let agent = try AgentUnderTest(
                network, policies: ["p.yaml": Self.policy("p", "{}", node: "elsewhere")], options: ["--host", "here"])
            #expect(network.tables == "")
            #expect(
                agent.tool("get", "policies").output.contains("elsewhere")
                    || !agent.tool("status").output.contains("nftables"))
        }

        // MARK: - Rules on sockets

        /// KubeArmor's own policy for hosts, word for word: whoever sends, in no supervised tree.
        @Test func thePublishedPolicyOnAProtocolHoldsForEverybody() throws {
            let network = try TestNetwork()
            let text = try TestFiles.publishedPolicy("tests__nonk8s_env__host_policy__res__hsp-audit-network-protocol")
            let agent = try AgentUnderTest(network, policies: ["p.yaml": text])
            #expect(try send(Packet(.udp, 4001), .egress, 4, network).arrived)
            #expect(try send(Packet(.tcp, 4001), .egress, 4, network).arrived)
            let found = agent.alerts(atLeast: 1)
            #expect(found.count == 1, "\(found.map(\.fields))")
            #expect(found.first?["PolicyName"] == "hsp-audit-network-protocol")
            #expect(found.first?["Type"] == "MatchedHostPolicy" && found.first?["Operation"] == "Network")
            #expect(found.first?["Resource"] == "protocol=UDP" && found.first?["Enforcer"] == "nftables")
            #expect(found.first?["Action"] == "Audit" && found.first?["Result"] == "Passed")
            #expect(found.first?["Severity"] == "7" && found.first?["Message"] == "UDP is being monitored")
        }

        @Test(arguments: [4, 6]) func aBlockedProtocolDoesNotLeave(_ version: Int) throws {
            let network = try TestNetwork()
            let agent = try AgentUnderTest(
                network,
                policies: [
                    "p.yaml": AgentUnderTest.policy(network: "matchProtocols: [{protocol: udp}, {protocol: sctp}]")
                ])
            let (udp, sctp) = (
                try send(Packet(.udp, 4001), .egress, version, network),
                try send(Packet(.sctp, 4002), .egress, version, network)
            )
            #expect(!udp.arrived && udp.error == EPERM && !sctp.arrived && sctp.error == EPERM)
            #expect(try send(Packet(.tcp, 4003), .egress, version, network).arrived)
            // A server that was there before goes on, and so do its answers.
            #expect(try send(Packet(.udp, 4004), .ingress, version, network).arrived)
            try network.own.run {
                let (sender, receiver) = (try TestSocket(4, SOCK_DGRAM), try TestSocket(4, SOCK_DGRAM))
                try receiver.bind("127.0.0.1", 4009)
                #expect(sender.send(to: "127.0.0.1", 4009) == EPERM && receiver.receive() == nil)
            }
            let found = agent.alerts(atLeast: 3)
            #expect(found.count == 3, "\(found.map(\.fields))")
            #expect(found.allSatisfy { $0["PolicyName"] == "p" && $0["Action"] == "Block" })
            #expect(Set(found.compactMap { $0["Resource"] }) == ["protocol=UDP", "protocol=SCTP"])
        }

        /// What no packet tells is not guessed: such rules hold in supervised trees only, and `status` says so.
        @Test func aRuleOnAProgramIsNotARuleOnPackets() throws {
            let network = try TestNetwork()
            let agent = try AgentUnderTest(
                network,
                policies: [
                    "p.yaml": AgentUnderTest.policy(
                        network: "matchProtocols: [{protocol: udp, fromSource: [{path: /bin/nobody}]}, {protocol: raw}]"
                    )
                ])
            #expect(network.tables == "")
            #expect(try send(Packet(.udp, 4001), .egress, 4, network).arrived)
            #expect(agent.tool("status").output.contains("only in supervised trees"))
        }

        // MARK: - The table

        private func blocking() throws -> (TestNetwork, AgentUnderTest) {
            let network = try TestNetwork()
            try network.nft("add table inet foreign; add chain inet foreign c { type filter hook input priority 5; }")
            let agent = try AgentUnderTest(
                network, policies: ["p.yaml": Self.policy("p", "{ports: [{port: \"4001\", protocol: UDP}]}")])
            return (network, agent)
        }

        /// Whoever removes or changes the table is named in an alert, and the rules are there again.
        @Test(arguments: [
            "delete table inet portcullis", "flush chain inet portcullis input",
            "insert rule inet portcullis input accept",
        ]) func aChangedTableIsMadeAgain(_ command: String) throws {
            let (network, agent) = try blocking()
            try network.nft(command)
            let found = agent.alerts(atLeast: 1) { $0["Message"] == "ruleset-changed" }
            #expect(found.count == 1)
            #expect((found.first?.fields["ExecEvent"] as? [String: Any])?["ExecutableName"] as? String == "nft")
            #expect(try !send(Packet(.udp, 4001), .ingress, 4, network).arrived)
            #expect(try send(Packet(.udp, 4002), .ingress, 4, network).arrived)
            #expect(agent.alerts(atLeast: 1) { $0["PolicyName"] == "p" }.count == 1)
        }

        /// The rules are the kernel's: they hold while the worker is replaced, and the next one tells of what they refuse.
        @Test func aDeadWorkerLeavesTheRulesInForce() throws {
            let (network, agent) = try blocking()
            let worker = try #require(agent.pid(of: "worker"))
            kill(worker, SIGKILL)
            #expect(try !send(Packet(.udp, 4001), .ingress, 4, network).arrived)
            while agent.pid(of: "worker") == worker { AgentUnderTest.pause() }
            // It is told of from when the next worker reads the log.
            let deadline = Date().addingTimeInterval(60)
            var found: [AgentUnderTest.Alert] = []
            while found.isEmpty, Date() < deadline {
                #expect(try !send(Packet(.udp, 4001), .ingress, 6, network).arrived)
                found = agent.alerts { $0["Data"]?.contains("DestinationIP=fd77::1") == true }
            }
            #expect(!found.isEmpty)
            try network.nft("delete table inet portcullis")
            #expect(agent.alerts(atLeast: 1) { $0["Message"] == "ruleset-changed" }.count == 1)
        }

        enum End: String, CaseIterable { case stop, stopAndRemove, crash, unlock }

        @Test(arguments: End.allCases) func theTableStaysUnlessItIsToGo(_ end: End) throws {
            let network = try TestNetwork()
            let agent = try AgentUnderTest(
                network, policies: ["p.yaml": Self.policy("p", "{ports: [{port: \"4001\", protocol: UDP}]}")],
                options: end == .stopAndRemove ? ["--network-rules-on-stop", "remove"] : [])
            try network.nft("add table inet foreign")
            switch end {
            case .stop, .stopAndRemove: agent.stop()
            case .crash:
                for pid in [agent.pid, agent.pid(of: "worker") ?? 0, agent.pid(of: "front") ?? 0] where pid > 1 {
                    kill(pid, SIGKILL)
                }
                agent.stop()
            case .unlock:
                #expect(agent.tool("unlock").status == 0)
                agent.stop()
            }
            let stays = end == .stop || end == .crash
            #expect(network.tables == (stays ? "table inet portcullis\ntable inet foreign\n" : "table inet foreign\n"))
            #expect(try send(Packet(.udp, 4001), .ingress, 4, network).arrived == !stays)
            // The next agent takes over what the last one left, and its policies are what counts.
            let next = try AgentUnderTest(
                network, policies: ["p.yaml": Self.policy("p", "{ports: [{port: \"4002\", protocol: UDP}]}")])
            #expect(try send(Packet(.udp, 4001), .ingress, 4, network).arrived)
            #expect(try !send(Packet(.udp, 4002), .ingress, 4, network).arrived)
            #expect(next.alerts(atLeast: 1).count == 1)
        }

        /// A reload that is refused changes nothing, and one that is not is all or nothing.
        @Test func whatCannotBeEnforcedIsSaid() throws {
            let network = try TestNetwork()
            let agent = try AgentUnderTest(
                network,
                policies: [
                    "p.yaml": Self.policy(
                        "p", "{ports: [{port: no-such-service}]}, {ports: [{port: \"4001\", protocol: UDP}]}")
                ])
            let status = agent.tool("status", "--json").output
            #expect(status.contains("'no-such-service' is not a service of this machine"))
            #expect(agent.log.contains("no-such-service"))
            #expect(try !send(Packet(.udp, 4001), .ingress, 4, network).arrived)
        }
    }
}

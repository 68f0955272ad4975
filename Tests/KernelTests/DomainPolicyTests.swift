import Foundation
import Testing

extension KernelSuite {
    /// Rules on name queries, held against packets: who asks is in no supervised tree. What arrives is asked of the server.
    @Suite("Names in packets")
    struct DomainPolicyTests {
        /// A message that asks for a name.
        private static func query(_ name: String, type: UInt8 = 1, flags: UInt8 = 1) -> [UInt8] {
            let labels = name.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
            return [0x12, 0x34, flags, 0, 0, 1, 0, 0, 0, 0, 0, 0] + labels + [0, 0, type, 0, 1]
        }

        private static let rules =
            "matchDNSQueries: [{domain: evil.test, action: Block}, {domain: seen.test, action: Audit}, "
            + "{domain: program.test, fromSource: [{path: /usr/bin/nobody}], action: Block}]"

        private func agent(_ network: TestNetwork, _ rules: String = rules, posture: String = "audit") throws
            -> AgentUnderTest
        {
            try AgentUnderTest(
                network, policies: ["p.yaml": AgentUnderTest.policy("names", network: rules, action: "Block")],
                options: ["--network-posture", posture])
        }

        /// Whether a message arrived by UDP, and what its sender saw.
        private func ask(
            _ message: [UInt8], _ network: TestNetwork, _ version: Int, port: UInt16 = 53
        ) throws -> (arrived: Bool, error: Int32) {
            let server = try network.other.run { try TestSocket(version, SOCK_DGRAM) }
            try server.bind(version == 4 ? "0.0.0.0" : "::", port)
            let client = try network.own.run { try TestSocket(version, SOCK_DGRAM) }
            let error = client.send(message, to: network.other.address(version), port)
            return (server.receive() == message, error)
        }

        /// The bytes of several writes that arrived by TCP.
        private func stream(_ writes: [[UInt8]], _ network: TestNetwork, _ version: Int) throws -> [UInt8] {
            let server = try network.other.run { try TestSocket(version, SOCK_STREAM) }
            try server.bind(version == 4 ? "0.0.0.0" : "::", 53)
            server.listen()
            let client = try network.own.run { try TestSocket(version, SOCK_STREAM) }
            #expect(client.connects(to: network.other.address(version), 53, 1000))
            let accepted = try #require(server.accept())
            var arrived: [UInt8] = []
            for bytes in writes {
                #expect(client.write(bytes))
                if let part = accepted.receive() { arrived += part }
            }
            return arrived
        }

        private static func framed(_ message: [UInt8]) -> [UInt8] {
            [UInt8(message.count >> 8), UInt8(message.count & 0xFF)] + message
        }

        private func expect(
            _ agent: AgentUnderTest, _ name: String, rule: String, action: String, count: Int = 1,
            sourceLocation: SourceLocation = #_sourceLocation
        ) {
            let found = agent.alerts(atLeast: count) { $0["Data"]?.contains("domain=\(name) ") == true }
            #expect(found.count == count, "\(name): \(found.map(\.fields))", sourceLocation: sourceLocation)
            guard let alert = found.first else { return }
            #expect(alert["PolicyName"] == "names" && alert["Operation"] == "Network", sourceLocation: sourceLocation)
            #expect(alert["Resource"] == rule && alert["Action"] == action, sourceLocation: sourceLocation)
            #expect(
                alert["Result"] == (action == "Block" ? "Permission denied" : "Passed"), sourceLocation: sourceLocation)
            #expect(
                alert["Type"] == "MatchedHostPolicy" && alert["Enforcer"] == "nftables", sourceLocation: sourceLocation)
            #expect(alert.number("HostPID") == nil && alert["UserName"] == nil, sourceLocation: sourceLocation)
        }

        /// In any case, with whatever is below it, and never more than that.
        @Test(arguments: [4, 6]) func aBlockedNameIsNotAskedFor(_ version: Int) throws {
            let network = try TestNetwork()
            let agent = try agent(network)
            let longest = String(repeating: "a", count: 63) + "." + String(repeating: "b", count: 63) + "."
            let deep = longest + longest.dropFirst(20) + "c.evil.test"
            let blocked = ["evil.test", "EVIL.Test", "www.evil.test", "a.b.c.d.e.f.g.h.i.j.k.l.eViL.test", deep]
            for name in blocked {
                let outcome = try ask(Self.query(name), network, version)
                #expect(!outcome.arrived && outcome.error == EPERM, "\(name)")
            }
            for name in ["test", "notevil.test", "evil.test.org", "evil.tes", "evilxtest", "seen.test", "program.test"]
            {
                let outcome = try ask(Self.query(name), network, version)
                #expect(outcome.arrived && outcome.error == 0, "\(name)")
            }
            for name in Set(blocked.map { $0.lowercased() }) { expect(agent, name, rule: "evil.test", action: "Block") }
            expect(agent, "seen.test", rule: "seen.test", action: "Audit")
            #expect(agent.alerts().count == 5, "\(agent.alerts().map(\.fields))")
            #expect(
                agent.alerts().allSatisfy { $0["Data"]?.contains("daddr=\(network.other.address(version))") == true })
        }

        @Test(arguments: [4, 6]) func aBlockedNameIsNotAskedForByTCP(_ version: Int) throws {
            let network = try TestNetwork()
            let agent = try agent(network)
            let (evil, seen, other) = (
                Self.framed(Self.query("www.Evil.test")), Self.framed(Self.query("Seen.test", type: 28)),
                Self.framed(Self.query("other.test"))
            )
            #expect(try stream([evil], network, version) == [])
            #expect(try stream([other, seen], network, version) == other + seen)
            // The second question of a segment, and one behind many others.
            #expect(try stream([other + evil], network, version) == [])
            expect(agent, "www.evil.test", rule: "evil.test", action: "Block")
            expect(agent, "seen.test", rule: "seen.test", action: "Audit")
            let all = agent.alerts()
            #expect(all.count == 2, "\(all.map(\.fields))")
            #expect(all.allSatisfy { $0["Data"]?.contains("Protocol=TCP") == true })
            #expect(all.contains { $0["Data"]?.contains("qtype=AAAA") == true })
        }

        /// What no fixed bytes can tell is told of when it has passed, with what the rule would have done.
        @Test func aNameWrittenWithPointersIsReported() throws {
            let network = try TestNetwork()
            let agent = try agent(network)
            // "evil", and then where "test" stands.
            var message = Array(Self.query("").prefix(12)) + [4] + Array("evil".utf8) + [0xC0, 23, 0, 1, 0, 1]
            message += [4] + Array("test".utf8) + [0]
            #expect(try ask(message, network, 4).arrived)
            expect(agent, "evil.test", rule: "evil.test", action: "Audit (Block)")
            #expect(agent.alerts().count == 1)
        }

        /// An answer to a server that asks from port 53, and other ports.
        @Test func whatIsNoQueryPasses() throws {
            let network = try TestNetwork()
            let agent = try agent(network)
            #expect(try ask(Self.query("evil.test", flags: 0x81), network, 4).arrived)
            #expect(try ask(Self.query("evil.test"), network, 4, port: 5300).arrived)
            #expect(try ask([0x12, 0x34, 1, 0, 0, 1], network, 4).arrived)
            #expect(agent.alerts().isEmpty)
        }

        /// Whoever asks again and again, for addresses of both families and from several ports, is told of once.
        @Test func oneAlertForEachName() throws {
            let network = try TestNetwork()
            let agent = try agent(network)
            for type in [1, 28, 1] as [UInt8] {
                for name in ["evil.test", "seen.test"] {
                    for version in [4, 6] {
                        #expect(
                            try ask(Self.query(name, type: type), network, version).arrived == (name == "seen.test"))
                    }
                }
            }
            #expect(agent.alerts(atLeast: 2).count == 2)
        }

        /// The resolver of the C library, as programs use it.
        @Test func theSystemsResolverIsHeld() throws {
            let network = try TestNetwork()
            let agent = try agent(network)
            let server = try network.other.run { try TestSocket(4, SOCK_DGRAM) }
            try server.bind("0.0.0.0", 53)
            let hosts = network.outside + "/resolv.conf"
            try "nameserver \(network.other.ipv4)\noptions timeout:1 attempts:1\n".write(
                toFile: hosts, atomically: true, encoding: .utf8)
            func resolve(_ name: String) -> Shell.Result {
                agent.run([
                    "/usr/bin/unshare", "-m", "sh", "-c",
                    "mount --bind \(hosts) /etc/resolv.conf && exec getent ahosts \(name)",
                ])
            }
            #expect(resolve("www.evil.test").status != 0)
            #expect(server.receive() == nil)
            expect(agent, "www.evil.test", rule: "evil.test", action: "Block")
            #expect(resolve("other.test").status != 0)
            #expect(server.receive() != nil)
            #expect(agent.alerts().count == 1)
        }

        /// An allow-list cannot be held against packets, and says so.
        @Test(arguments: ["block", "audit", "allow"]) func whatAnAllowListLacksIsReported(_ posture: String) throws {
            let network = try TestNetwork()
            let agent = try agent(network, "matchDNSQueries: [{domain: good.test, action: Allow}]", posture: posture)
            #expect(try ask(Self.query("www.good.test"), network, 4).arrived)
            #expect(try ask(Self.query("other.test"), network, 4).arrived)
            let found = agent.alerts(atLeast: posture == "allow" ? 0 : 1)
            #expect(found.count == (posture == "allow" ? 0 : 1), "\(found.map(\.fields))")
            #expect(found.allSatisfy { $0["PolicyName"] == "DefaultPosture" && $0["Resource"] == "other.test" })
            #expect(found.allSatisfy { $0["Action"] == (posture == "block" ? "Audit (Block)" : "Audit") })
            if posture != "allow" {
                #expect(agent.tool("status").output.contains("what is not listed is reported, not refused"))
            }
        }

        /// What depends on the program is guessed by nobody: `status` says so.
        @Test func aRuleOnAProgramIsNotARuleOnPackets() throws {
            let network = try TestNetwork()
            let agent = try agent(
                network, "matchDNSQueries: [{domain: program.test, fromSource: [{path: /bin/nobody}], action: Block}]")
            #expect(network.tables == "")
            #expect(agent.tool("status").output.contains("no packet tells which program asks"))
        }
    }
}

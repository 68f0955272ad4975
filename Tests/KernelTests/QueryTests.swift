import Foundation
import Testing

extension KernelSuite {
    /// `matchDNSQueries` in supervised trees: what leaves is asked of a resolver on another network.
    @Suite("DNS queries")
    struct QueryTests {
        private static let victim = AgentUnderTest.binaries + "/portcullis-victim"
        private static let google = "matchDNSQueries: [{domain: google.com}]"

        private func start(
            _ network: String = google, action: String = "Block", options: [String] = [], owner: String? = nil
        ) throws -> (TestNetwork, Resolver, AgentUnderTest) {
            let place = try TestNetwork(ownedBy: owner)
            let resolver = try Resolver(at: place.other)
            let agent = try AgentUnderTest(
                place, policies: ["p.yaml": AgentUnderTest.policy(network: network, action: action)],
                options: ["--no-packet-filter"] + options)
            return (place, resolver, agent)
        }

        private func ask(
            _ agent: AgentUnderTest, _ way: String, _ name: String, threads: Bool = false,
            at place: String = "10.77.0.2:53"
        ) -> String {
            agent.tool(
                ["run", "--", Self.victim, "query", place, way, name] + (threads ? ["threads"] : [])
            ).output.trimmingCharacters(in: .newlines)
        }

        private func expectAlert(
            _ alert: AgentUnderTest.Alert?, name: String, _ note: String,
            sourceLocation: SourceLocation = #_sourceLocation
        ) {
            guard let alert else {
                Issue.record("\(note): no alert", sourceLocation: sourceLocation)
                return
            }
            #expect(alert["PolicyName"] == "p", sourceLocation: sourceLocation)
            #expect(alert["Operation"] == "Network", sourceLocation: sourceLocation)
            #expect(alert["Resource"] == "google.com", "\(note)", sourceLocation: sourceLocation)
            #expect(
                alert["Data"] == "lsm=SOCKET_SENDMSG domain=\(name.lowercased()) daddr=10.77.0.2 qtype=A Protocol=UDP",
                "\(note)", sourceLocation: sourceLocation)
            #expect(alert["Action"] == "Block", sourceLocation: sourceLocation)
            #expect(alert["Result"] == "Permission denied", sourceLocation: sourceLocation)
            #expect(alert["Enforcer"] == "seccomp", sourceLocation: sourceLocation)
            #expect(alert["ProcessName"] == Self.victim, sourceLocation: sourceLocation)
        }

        /// Ways to ask over UDP, and what each gives for a name that is blocked.
        static let ways: [(way: String, refused: String)] = [
            ("sendto", "errno 13 EACCES"), ("sendmsg", "errno 13 EACCES"),
            ("sendmmsg", "sent 1 lengths 34 0 answered"), ("connected-send", "errno 13 EACCES"),
            ("connected-sendmsg", "errno 13 EACCES"), ("connected-sendmmsg", "sent 1 lengths 34 0 answered"),
            ("connected-dup", "errno 13 EACCES"), ("folded", "errno 13 EACCES"), ("segments", "errno 13 EACCES"),
        ]

        @Test(arguments: [false, true]) func aBlockedNameIsNotAskedFor(threads: Bool) throws {
            let (_, resolver, agent) = try start()
            for (index, (way, refused)) in Self.ways.enumerated() {
                // The end of a folded name has to fit into the message's header.
                let prefix = way == "folded" ? "" : "www."
                #expect(ask(agent, way, prefix + "google.com", threads: threads) == refused, "\(way)")
                #expect(resolver.takeNames() == (way.hasSuffix("sendmmsg") ? ["harmless.example"] : []), "\(way)")
                // The first of two segments is another name of as many letters.
                let alerts = agent.alerts(atLeast: index + 1)
                #expect(alerts.count == index + 1, "\(way): \(alerts.map(\.fields))")
                expectAlert(alerts.last, name: (way == "segments" ? "xxx." : prefix) + "google.com", way)
                #expect(ask(agent, way, prefix + "goggle.com", threads: threads).hasSuffix("answered"), "\(way)")
                let asked = resolver.takeNames()
                #expect(
                    asked.contains(prefix + "goggle.com") && !asked.contains { $0.hasSuffix("google.com") },
                    "\(way): \(asked)")
            }
            #expect(agent.alerts().count == Self.ways.count)
        }

        @Test func aDomainIsAllBelowIt() throws {
            let (_, resolver, agent) = try start()
            let blocked = ["google.com", "GooGLE.CoM", "a.b.c.d.e.f.g.h.i.j.k.l.google.com"]
            for (index, name) in blocked.enumerated() {
                #expect(ask(agent, "sendto", name) == "errno 13 EACCES")
                expectAlert(agent.alerts(atLeast: index + 1).last, name: name, name)
            }
            #expect(resolver.takeNames().isEmpty)
            let others = ["notgoogle.com", "com", "google.com.example"]
            for name in others { #expect(ask(agent, "sendto", name) == "answered") }
            #expect(resolver.takeNames() == others)
            #expect(agent.alerts().count == blocked.count)
        }

        /// write(2) is not seen: a socket through which a blocked name could be written reaches no resolver.
        @Test func whatIsWrittenIsNotAsked() throws {
            let (_, resolver, agent) = try start()
            for name in ["www.google.com", "www.goggle.com"] {
                #expect(ask(agent, "connected-write", name) == "refused")
                #expect(resolver.takeNames().isEmpty)
                // The control: without us it is.
                let words = [Self.victim, "query", "10.77.0.2:53", "connected-write", name]
                #expect(agent.run(words).output == "answered\n")
                #expect(resolver.takeNames() == [name])
            }
        }

        /// Over a connection, and in pieces, a query cannot be seen as a whole.
        @Test(arguments: [false, true]) func whatCannotBeSeenIsDenied(threads: Bool) throws {
            let (_, resolver, agent) = try start()
            let ways = ["tcp-send", "tcp-write", "tcp-sendmsg", "tcp-nonblocking", "tcp-fastopen", "pieces", "cork"]
            for (index, way) in ways.enumerated() {
                #expect(ask(agent, way, "www.google.com", threads: threads) == "errno 13 EACCES", "\(way)")
                #expect(resolver.takeNames().isEmpty)
                let alerts = agent.alerts(atLeast: index + 1)
                #expect(alerts.count == index + 1, "\(way): \(alerts.map(\.fields))")
                #expect(alerts.last?["PolicyName"] == "AgentFailure")
                #expect(alerts.last?["Message"] == "query-unreadable")
                #expect(alerts.last?["Resource"] == "daddr=10.77.0.2", "\(way)")
                #expect(alerts.last?["Action"] == "Block")
            }
            #expect(resolver.connections == 0)
        }

        /// The operator may say otherwise: then what is seen still counts.
        @Test func whatCannotBeSeenCanBeLetThrough() throws {
            let (_, resolver, agent) = try start(options: ["--on-failure", "query-unreadable=allow"])
            #expect(ask(agent, "tcp-write", "www.google.com") == "answered")
            #expect(ask(agent, "connected-write", "www.google.com") == "answered")
            #expect(resolver.takeNames() == ["www.google.com", "www.google.com"])
            for way in ["tcp-send", "tcp-sendmsg", "connected-send", "sendto"] {
                #expect(ask(agent, way, "www.google.com") == "errno 13 EACCES", "\(way)")
                #expect(ask(agent, way, "www.goggle.com") == "answered", "\(way)")
            }
            #expect(Set(resolver.takeNames()) == ["www.goggle.com"])
            let alerts = agent.alerts(atLeast: 4) { $0["PolicyName"] == "p" }
            #expect(alerts.count == 4)
        }

        @Test func overIPv6Too() throws {
            let (_, resolver, agent) = try start()
            for way in ["sendto", "connected-send"] {
                #expect(ask(agent, way, "www.google.com", at: "fd77::2:53") == "errno 13 EACCES")
                #expect(ask(agent, way, "www.goggle.com", at: "fd77::2:53") == "answered")
            }
            #expect(resolver.takeNames() == ["www.goggle.com", "www.goggle.com"])
        }

        @Test func onlyTheProgramThatTheRuleIsAbout() throws {
            let rule = "matchDNSQueries: [{domain: google.com, fromSource: [{path: /usr/bin/nobody-has-this}]}]"
            let (_, resolver, agent) = try start(rule)
            // Of another program nothing has to be held back: its sockets are connected as it wants.
            for way in ["sendto", "connected-write", "tcp-write"] {
                #expect(ask(agent, way, "www.google.com") == "answered")
            }
            #expect(resolver.takeNames().count == 3)
            #expect(agent.alerts().isEmpty)
        }

        @Test func anAuditedNameIsReportedAndAskedFor() throws {
            let (_, resolver, agent) = try start(action: "Audit")
            for way in ["sendto", "connected-send", "tcp-send"] {
                #expect(ask(agent, way, "www.google.com") == "answered")
            }
            #expect(ask(agent, "connected-write", "www.google.com") == "answered")
            #expect(resolver.takeNames().count == 4)
            let alerts = agent.alerts(atLeast: 3)
            #expect(alerts.count == 3, "\(alerts.map(\.fields))")
            #expect(alerts.first?["Resource"] == "google.com")
            #expect(
                alerts.first?["Data"] == "kfunc=UDP_SENDSKB domain=www.google.com daddr=10.77.0.2 qtype=A Protocol=UDP",
                "\(alerts.first?.fields ?? [:])")
            #expect(alerts.first?["Action"] == "Audit")
            #expect(alerts.first?["Result"] == "Passed")
        }

        @Test func anAllowListAsksForNothingElse() throws {
            let (_, resolver, agent) = try start(action: "Allow", options: ["--network-posture", "block"])
            #expect(ask(agent, "sendto", "www.google.com") == "answered")
            #expect(ask(agent, "sendto", "www.goggle.com") == "errno 13 EACCES")
            #expect(resolver.takeNames() == ["www.google.com"])
            let alerts = agent.alerts(atLeast: 1)
            #expect(alerts.map { $0["PolicyName"] } == ["DefaultPosture"])
            #expect(
                alerts.first?["Data"] == "lsm=SOCKET_SENDMSG domain=www.goggle.com daddr=10.77.0.2 qtype=A Protocol=UDP"
            )
        }

        /// The C library's resolver, as programs use it: connected sockets, two questions at a time.
        @Test(arguments: [false, true]) func theCLibrarysResolverWorks(threads: Bool) throws {
            let (place, resolver, agent) = try start()
            let settings = place.outside + "/resolv.conf"
            try "nameserver 10.77.0.2\noptions timeout:1 attempts:1\n".write(
                toFile: settings, atomically: true, encoding: .utf8)
            let script = """
                import socket, sys, threading, time
                if sys.argv[2] == 'true': threading.Thread(target=time.sleep, args=(5,), daemon=True).start()
                try: print(socket.getaddrinfo(sys.argv[1], 80))
                except socket.gaierror as e: print(e.args[0])
                """
            func look(_ name: String) -> String {
                agent.run([
                    "unshare", "-m", "sh", "-c",
                    "mount --bind \(settings) /etc/resolv.conf && exec \"$@\"", "sh",
                    agent.place.binaries + "/portcullis", "run", "--socket", agent.socket, "--", "python3", "-c",
                    script,
                    name, "\(threads)",
                ]).output.trimmingCharacters(in: .newlines)
            }
            // EAI_AGAIN: nobody could be asked. EAI_NODATA: there is no such address; it was asked.
            #expect(look("www.google.com") == "-3")
            #expect(resolver.takeNames().isEmpty)
            #expect(look("www.goggle.com") == "-5")
            #expect(Set(resolver.takeNames()) == ["www.goggle.com"])
        }

        @Test func aUsersTreeToo() throws {
            let (_, resolver, agent) = try start(options: ["--rootless"], owner: Scratch.user)
            for way in ["sendto", "connected-send", "connected-sendmmsg"] {
                for threads in [false, true] {
                    _ = ask(agent, way, "www.google.com", threads: threads)
                    #expect(ask(agent, way, "www.goggle.com", threads: threads).hasSuffix("answered"), "\(way)")
                }
            }
            #expect(!resolver.takeNames().contains { $0.hasSuffix("google.com") })
            #expect(agent.alerts(atLeast: 6).count == 6)
        }

        @Test func withoutSuchRulesNothingIsAsked() throws {
            let (_, _, agent) = try start("matchProtocols: [{protocol: tcp}]")
            #expect(ask(agent, "connected-send", "www.google.com") == "answered")
            // connect(2) of a socket that need not be the tree's own, and nothing else.
            #expect(agent.tool("status", "--json").output.contains("\"calls\":1,"))
        }
    }
}

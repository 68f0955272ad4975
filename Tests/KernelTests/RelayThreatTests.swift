import Foundation
import LinuxKernel
import Testing

extension KernelSuite {
    /// Threats between the command line tool and a relay (docs/threats.md), with a real agent behind it.
    @Suite("RelayThreats")
    struct RelayThreatTests {
        private let hostile = TestFiles.package + "/integration/hostile"

        @Test("threat/T28 floods of frames and crafted filters cost no more than honest requests") func floodsOfFrames()
            throws
        {
            let site = try SecureAgent()
            let free = try TCPSocket.listen(try #require(TCPSocket.Place("127.0.0.1:0")))
            let web = try TCPSocket.port(of: free.raw)
            // Given back, so that the relay can have it.
            _ = consume free
            let relay = try site.startRelay("web: {listen: \"127.0.0.1:\(web)\"}")
            let method = "portcullis.v1.Relay/ListAgents"
            /// Clock ticks of the relay for a flood, and what became of it.
            func flood(_ kind: String, _ connections: Int, _ count: Int) throws -> (ticks: Int, text: String) {
                let before = relay.process.ticks
                let client = try Background(
                    [
                        hostile, "flood", kind, "\(relay.port)", site.tls + "/ca.crt", site.tls + "/cli",
                        "\(connections)", "\(count)", method,
                    ], folder: site.scratch.outside)
                #expect(client.wait() == 0, "\(client.text)")
                // What is still being worked on.
                #expect(site.call(method, as: "controller", port: relay.port).code == "0")
                return (relay.process.ticks - before, client.lines.last ?? "")
            }
            func requests() throws -> Int {
                try site.audit(relay.folder).count {
                    $0["kind"] as? String == "request" && ($0["peer"] as? String)?.hasSuffix("/cli/cli1") == true
                }
            }
            let honest = try flood("honest", 10, 200)
            #expect(honest.text == "0 closed, 2000 answered", "\(honest)")
            #expect(try requests() == 2000)
            let resets = try flood("reset", 10, 10_000)
            #expect(resets.text == "10 closed, 0 answered", "\(resets)")
            // Of 100 000 requests few were begun: a connection that resets more than 200 is closed.
            let begun = try requests() - 2000
            #expect(begun <= 10 * 250, "\(begun)")
            let heads = try flood("continuation", 10, 10_000)
            #expect(heads.text == "10 closed, 0 answered", "\(heads)")
            #expect(try requests() - 2000 == begun, "a head without an end is no request")
            for (name, cost) in [("resets", resets.ticks), ("heads", heads.ticks)] {
                #expect(cost <= 5 * honest.ticks + 100, "\(name): \(cost) ticks, honest: \(honest.ticks)")
            }

            // The same of the page: what is crafted costs no more than what is not.
            func page(_ path: String, times: Int, _ more: [String]) -> Shell.Result {
                Shell.run(
                    [
                        "curl", "-sk", "-g", "-m", "60", "--cert", "\(site.tls)/cli.crt", "--key",
                        "\(site.tls)/cli.key",
                        "-w", "%{http_code}\n",
                    ] + more + (0..<times).flatMap { _ in ["-o", "/dev/null", "https://localhost:\(web)\(path)"] })
            }
            let session = page(
                "/api/session", times: 1,
                [
                    "-c", site.scratch.outside + "/cookies", "-X", "POST", "-d", "{}", "-H",
                    "origin: https://localhost:\(web)", "-H", "content-type: application/json",
                ])
            #expect(session.output == "200\n", "\(session)")
            func ask(_ path: String, _ status: String) -> Int {
                let before = relay.process.ticks
                let result = page(path, times: 100, ["-b", site.scratch.outside + "/cookies"])
                #expect(
                    result.output == String(repeating: status + "\n", count: 100),
                    "\(path): \(result.output.prefix(40))")
                return relay.process.ticks - before
            }
            let plain = ask("/api/history?policy=p&limit=10", "200")
            for (path, status) in [
                ("/api/history?policy=" + String(repeating: "(a+)%2B%25*", count: 40), "200"),
                ("/api/history?policy=" + String(repeating: "x", count: 4000), "400"),
                ("/api/events?filter=Resource%3D" + String(repeating: "x", count: 4000), "400"),
                ("/api/counts?span=31622400&seconds=1", "400"),
            ] {
                let cost = ask(path, status)
                #expect(cost <= 5 * plain + 100, "\(path.prefix(40)): \(cost) ticks, plain: \(plain)")
            }
        }

        @Test("threat/T30 only known callers read from a relay") func onlyKnownCallers() throws {
            let site = try SecureAgent()
            site.secretIsDenied()
            let relay = try site.startRelay()
            for peer in [nil, "vm", "other"] {
                let outcome = site.watch(as: peer, port: relay.port)
                #expect(outcome.status == "000" && outcome.body.isEmpty, "\(peer ?? "nobody"): \(outcome)")
            }
            #expect(site.watch(as: nil, port: relay.port, scheme: "http").status == "000")
            #expect(site.watch(as: "relay", port: relay.port, ["--tls-max", "1.2"]).status == "000")
            #expect(site.seesTheSecret(as: "cli", port: relay.port))
            // And a client leaves who is not the one it wants.
            let wrong = site.tool(relay.port, as: "cli", "get", "policies", "--expect", "agent/node1")
            #expect(wrong.status == 4 && wrong.error.contains("is spiffe://test.example/relay/relay1"), "\(wrong)")
        }

        @Test("threat/T31 a request is written down once, with its filter") func oneRecordWithTheFilter() throws {
            let site = try SecureAgent()
            let relay = try site.startRelay()
            site.secretIsDenied()
            let logs = site.tool(
                relay.port, as: "cli", "logs", "--json", "--limit", "1", "--filter", "Resource=SECRET", "--resume-from",
                "0", "--spool", "0000000000000000")
            #expect(logs.status == 0 && logs.output.contains(site.scratch.path("prot/secret")), "\(logs)")
            _ = site.tool(relay.port, as: "cli", "logs", "--limit", "1", "--filter", "Nothing=\u{1B}[2J\"x")
            let records = try site.audit(relay.folder).filter {
                $0["method"] as? String == "portcullis.v1.Telemetry/Stream" && $0["kind"] as? String == "request"
            }
            let own = records.filter { ($0["peer"] as? String)?.hasSuffix("/cli/cli1") == true }
            #expect(own.filter { ($0["object"] as? String)?.contains("Resource=SECRET") == true }.count == 1, "\(own)")
            #expect(
                own.filter { ($0["object"] as? String)?.contains("Nothing=\u{1B}[2J\"x") == true }.count == 1, "\(own)")
            let file = try #require(
                FileManager.default.contentsOfDirectory(atPath: relay.folder).first { $0.hasSuffix(".jsonl") })
            let bytes = try Data(contentsOf: URL(fileURLWithPath: relay.folder + "/" + file))
            #expect(bytes.allSatisfy { $0 == 10 || (0x20..<0x7f).contains($0) }, "a terminal may print it")
        }

        @Test("threat/T32 one caller does not take everything") func oneCallerIsNotAll() throws {
            let site = try SecureAgent()
            let relay = try site.startRelay()
            try Data([0, 0, 0, 0, 5, 0x0a, 3, 0x61, 0x6c, 0x6c]).write(
                to: URL(fileURLWithPath: site.scratch.outside + "/all"))
            let streams = try (0..<64).map { _ in
                try Background(
                    [
                        "curl", "-skN", "-m", "120", "--http2", "--cert", "\(site.tls)/cli.crt", "--key",
                        "\(site.tls)/cli.key", "-o", "/dev/null",
                        "-H", "content-type: application/grpc", "-H", "te: trailers", "--data-binary",
                        "@\(site.scratch.outside)/all", "https://127.0.0.1:\(relay.port)/feeder.LogService/WatchAlerts",
                    ],
                    folder: site.scratch.outside, waits: false)
            }
            let end = Date().addingTimeInterval(60)
            var code = ""
            while code != "8", Date() < end {
                code = site.call("portcullis.v1.Relay/ListAgents", as: "cli", port: relay.port).code
            }
            #expect(code == "8", "RESOURCE_EXHAUSTED")
            // Others are served, and the agent is read on.
            #expect(site.call("portcullis.v1.Relay/ListAgents", as: "controller", port: relay.port).code == "0")
            site.secretIsDenied()
            #expect(site.seesTheSecret(as: "controller", port: relay.port))
            for stream in streams { stream.stop() }
        }

        @Test("threat/T33 a client does not wait for a relay that says nothing") func silence() throws {
            let site = try SecureAgent()
            site.secretIsDenied()
            let relay = try site.startRelay()
            let logs = try Background(
                [
                    site.scratch.binaries + "/portcullis", "logs", "--json", "--server", "127.0.0.1:\(relay.port)",
                    "--tls-folder", site.tls, "--tls-name", "cli",
                    "--resume-from", "0", "--spool", "0000000000000000",
                ], folder: site.scratch.outside)
            #expect(logs.lines.count == 1, "\(logs.text)")
            kill(relay.process.pid, SIGSTOP)
            #expect(logs.wait() != 0, "\(logs.text)")
            kill(relay.process.pid, SIGCONT)
            let line = try #require(
                logs.lines.first { $0.contains("go on with --resume-from 1 --spool ") }, "\(logs.text)")
            let spool = try #require(line.split(separator: " ").last.map(String.init))
            // What happened meanwhile, and nothing twice.
            _ = site.agent.victim("write", site.scratch.path("prot/secret"))
            let rest = site.tool(
                relay.port, as: "cli", "logs", "--json", "--limit", "1", "--resume-from", "1", "--spool", spool)
            #expect(rest.status == 0 && rest.output.split(separator: "\n").count == 1, "\(rest)")
            #expect(rest.output != logs.lines[0] + "\n")
        }

        @Test("threat/T34 a relay is given nothing of its caller's") func nothingOfTheCallers() throws {
            let site = try SecureAgent()
            let place = site.scratch.outside + "/capture.sock"
            let kubeconfig = site.scratch.outside + "/kubeconfig"
            try "users: [{name: x, user: {token: canary-token-4711}}]\n".write(
                toFile: kubeconfig, atomically: true, encoding: .utf8)
            let capture = try Background([hostile, "capture", place], folder: site.scratch.outside)
            _ = Shell.run(
                "env", "KUBECONFIG=\(kubeconfig)", "HOME=\(site.scratch.outside)", "TOKEN=canary-token-4711", "timeout",
                "10", site.scratch.binaries + "/portcullis", "get", "policies", "--server", "unix:\(place)")
            #expect(capture.wait() == 0)
            #expect(
                capture.text.contains("PRI * HTTP/2.0") && !capture.text.contains("canary-token"),
                "\(capture.text.count)")
        }

        @Test("threat/T35 neither side executes what the other says") func onlyText() throws {
            let site = try SecureAgent()
            let relay = try site.startRelay()
            let canary = site.scratch.outside + "/canary"
            for text in ["$(touch \(canary))", "%n%s", "../../x", "'; touch \(canary); '"] {
                let result = site.tool(relay.port, as: "cli", "logs", "--limit", "1", "--filter", "\(text)=x")
                #expect(result.status != 0, "\(result)")
            }
            #expect(!FileManager.default.fileExists(atPath: canary))
            // The other way round: a file's name on its way to a terminal.
            let name = "evil\u{1B}]0;title\u{7}\u{1B}[2J\u{1B}]52;c;eA==\u{7}\u{202E}"
            try site.scratch.write("work/\(name)", "x")
            try FileManager.default.moveItem(
                atPath: site.scratch.path("work/\(name)"), toPath: site.scratch.path("prot/\(name)"))
            #expect(site.agent.victim("read", site.scratch.path("prot/\(name)")).output.contains("EPERM"))
            for style in [["--json"], []] {
                let shown = Shell.run(
                    [
                        "script", "-qec",
                        ([
                            site.scratch.binaries + "/portcullis", "logs", "--limit", "1", "--filter", "Resource=evil",
                            "--resume-from", "0", "--spool", "0000000000000000", "--server", "127.0.0.1:\(relay.port)",
                            "--tls-folder", site.tls, "--tls-name", "cli",
                        ] + style).joined(separator: " "), "/dev/null",
                    ])
                #expect(shown.output.contains("evil"), "\(shown)")
                // Colours are the tool's own; everything else that a terminal would obey is not there.
                let plain = shown.output.replacing(/\u{1B}\[[0-9;]*m/, with: "")
                #expect(
                    !plain.unicodeScalars.contains { $0 == "\u{1B}" || $0 == "\u{7}" || $0 == "\u{202E}" },
                    "\(Array(plain.utf8))")
            }
        }

        @Test("threat/T36 crafted calls do not steer a relay") func craftedCalls() throws {
            let site = try SecureAgent()
            let relay = try site.startRelay()
            let large = site.scratch.outside + "/large"
            try (Data([0, 0, 0x50, 0, 0]) + Data(count: 5 << 20)).write(to: URL(fileURLWithPath: large))
            let outcome = site.call(
                "portcullis.v1.Control/GetPolicies", as: "cli", port: relay.port, ["--data-binary", "@\(large)"])
            #expect(outcome.code == "8" || outcome.status == "000", "\(outcome)")
            let methods = [
                "feeder.LogService/WatchAlerts", "portcullis.v1.Telemetry/Stream", "portcullis.v1.Control/GetPolicies",
                "portcullis.v1.Relay/QueryHistory", "portcullis.v1.Relay/CountHistory",
            ]
            let fuzzer = try Background(
                [hostile, "fuzz", "\(relay.port)", site.tls + "/ca.crt", site.tls + "/cli", "400"] + methods,
                folder: site.scratch.outside)
            #expect(fuzzer.wait() == 0 && fuzzer.text.contains("sent "), "\(fuzzer.text)")
            #expect(relay.process.isRunning)
            site.secretIsDenied()
            #expect(site.seesTheSecret(as: "controller", port: relay.port))
        }
    }
}

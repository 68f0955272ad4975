import Foundation
import Testing

extension KernelSuite {
    /// Threats T01–T11 and T30–T36 (docs/threats.md), against real programs.
    @Suite("Threats")
    struct ThreatTests {
        private let hostile = TestFiles.package + "/integration/hostile"

        @Test("threat/T01 only a relay attaches") func onlyKnownPeers() throws {
            let site = try SecureAgent()
            site.secretIsDenied()
            let (tls, outside) = (site.tls, site.scratch.outside)
            // Another authority of the same name; a certificate that has ended; one whose common name says what it is not.
            _ = try Shell.check(
                site.scratch.binaries + "/portcullis", "certs", "init", "--trust-domain", "test.example", "--folder",
                outside + "/foreign")
            _ = try Shell.check(
                site.scratch.binaries + "/portcullis", "certs", "issue", "--role", "relay", "--name", "relay1",
                "--file", "foreign", "--folder", outside + "/foreign")
            for suffix in ["crt", "key"] {
                try FileManager.default.copyItem(
                    atPath: "\(outside)/foreign/foreign.\(suffix)", toPath: "\(tls)/foreign.\(suffix)")
            }
            let uri = "subjectAltName=URI:spiffe://test.example/relay/relay1"
            for (name, subject, names, days) in [
                ("ended", "/CN=x", uri, "0"), ("named", "/CN=relay", "basicConstraints=CA:FALSE", "1"),
            ] {
                try (names + "\n").write(toFile: "\(outside)/\(name).ext", atomically: true, encoding: .utf8)
                _ = try Shell.check(
                    "openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                    "\(tls)/\(name).key", "-out", "\(outside)/\(name).csr", "-subj", subject)
                _ = try Shell.check(
                    "openssl", "x509", "-req", "-in", "\(outside)/\(name).csr", "-CA", "\(tls)/ca.crt", "-CAkey",
                    "\(tls)/ca.key", "-CAcreateserial", "-days", days, "-extfile", "\(outside)/\(name).ext", "-out",
                    "\(tls)/\(name).crt")
            }
            Thread.sleep(forTimeInterval: 1.5)
            for peer in [nil, "foreign", "vm", "ended", "named", "other"] {
                let outcome = site.watch(as: peer)
                #expect(outcome.status == "000" && outcome.body.isEmpty, "\(peer ?? "nobody"): \(outcome)")
            }
            #expect(site.seesTheSecret(as: "relay"))
            let refusals = try site.audit(site.auditFolder).filter { $0["kind"] as? String == "refusal" }
            #expect(refusals.count >= 6, "\(refusals)")
            #expect(refusals.contains { ($0["outcome"] as? String)?.contains("vm/vm1 is not expected here") == true })
        }

        @Test("threat/T03 altered bytes change nothing") func alteredBytes() throws {
            let site = try SecureAgent()
            let count = 30
            let proxy = try Background([hostile, "flip", "\(site.port)", "\(count)"], folder: site.scratch.outside)
            let port = try #require(proxy.lines.first.flatMap { Int($0) })
            var done = 0
            for number in 0..<count {
                let policy = "\(site.scratch.outside)/flip\(number).yaml"
                try AgentUnderTest.policy(
                    "flip\(number)", file: "matchPaths: [{path: \(site.scratch.path("work/plain"))}]"
                ).write(toFile: policy, atomically: true, encoding: .utf8)
                // Whatever is changed, the tool ends, and what it says is true.
                let result = Shell.run([
                    "timeout", "90", site.scratch.binaries + "/portcullis", "apply", "-f", policy, "--server",
                    "127.0.0.1:\(port)", "--tls-folder", site.tls, "--tls-name", "controller",
                ])
                if result.status == 0 { done += 1 }
                #expect(result.status != 124, "\(result)")
            }
            let names = site.agent.tool("get", "policies", "--json").output
            let applied = (0..<count).filter { names.contains("\"flip\($0)\"") }.count
            #expect(applied == done && done < count, "\(applied) applied, \(done) reported")
            site.secretIsDenied()
        }

        @Test("threat/T04 both sides know who asked for what") func bothSidesKnow() throws {
            let site = try SecureAgent()
            let relay = try site.startRelay()
            for _ in 0..<20 { #expect(site.tool(relay.port, as: "cli", "get", "policies").status == 0) }
            func numbers(_ records: [[String: Any]], _ peer: String) -> Set<String> {
                Set(
                    records.filter {
                        $0["method"] as? String == "portcullis.v1.Control/GetPolicies"
                            && $0["kind"] as? String == "request" && ($0["peer"] as? String)?.hasSuffix(peer) == true
                    }
                    .compactMap { $0["request"] as? String })
            }
            let (ours, theirs) = (
                numbers(try site.audit(relay.folder), "/cli/cli1"),
                numbers(try site.audit(site.auditFolder), "/relay/relay1")
            )
            #expect(ours.count == 20 && ours == theirs, "\(ours.count) and \(theirs.count)")
            relay.process.stop()
            let whole = Shell.run(site.scratch.binaries + "/portcullis", "audit", "verify", relay.folder)
            #expect(whole.status == 0, "\(whole)")
            let file = try #require(
                FileManager.default.contentsOfDirectory(atPath: relay.folder).first { $0.hasSuffix(".jsonl") })
            var lines = try String(contentsOfFile: relay.folder + "/" + file, encoding: .utf8).split(separator: "\n")
                .map(String.init)
            lines.remove(at: 9)
            try (lines.joined(separator: "\n") + "\n").write(
                toFile: relay.folder + "/" + file, atomically: true, encoding: .utf8)
            let broken = Shell.run(site.scratch.binaries + "/portcullis", "audit", "verify", relay.folder)
            #expect(broken.status == 1 && broken.error.contains("record 10 is missing"), "\(broken)")
        }

        @Test("threat/T05 nothing can be read on the wire") func nothingToRead() throws {
            let site = try SecureAgent()
            let (marker, control) = (site.scratch.path("prot/secret"), "control-\(UUID().uuidString)")
            let file = site.scratch.outside + "/sniff"
            let sniffer = try Background([hostile, "sniff", file, marker, control], folder: site.scratch.outside)
            for _ in 0..<20 { site.secretIsDenied() }
            #expect(site.seesTheSecret(as: "relay"))
            // What is not encrypted is seen.
            _ = Shell.run("bash", "-c", "exec 3<>/dev/udp/127.0.0.1/9; echo \(control) >&3")
            _ = FileManager.default.createFile(atPath: file + ".stop", contents: nil)
            #expect(sniffer.wait() == 0)
            #expect(sniffer.lines == ["ready", "\(marker) unseen", "\(control) seen"], "\(sniffer.text)")
            #expect(site.watch(as: "relay", ["--tls-max", "1.2"]).status == "000")
            #expect(site.watch(as: nil, scheme: "http").status == "000")
        }

        @Test("threat/T06 there is nothing on the wire to use again") func nothingToReuse() throws {
            let site = try SecureAgent()
            // No token takes the place of a certificate.
            #expect(site.watch(as: nil, ["-H", "authorization: Bearer eyJhbGciOiJub25lIn0.e30."]).status == "000")
            #expect(
                site.call("portcullis.v1.Control/ApplyPolicies", as: "cli", ["-H", "authorization: Bearer x"]).code
                    == "7")
            let gateway = try #require(
                Shell.run("pgrep", "-P", "\(site.agent.pid)", "portcullis-gate").output.split(separator: "\n").first)
            // Not dumpable: its memory, with the key, is root's business only.
            #expect(Shell.run("stat", "-c", "%u", "/proc/\(gateway)/environ").output == "0\n")
            let key = try String(contentsOfFile: site.tls + "/server.key", encoding: .utf8).split(separator: "\n")[1]
            let state = Shell.run(
                "grep", "-rlE", "PRIVATE KEY|\(key.prefix(40).replacingOccurrences(of: "+", with: "."))",
                site.scratch.agentDirectory + "/state", site.scratch.agentDirectory + "/run")
            #expect(state.output.isEmpty && !site.agent.log.contains("PRIVATE KEY"), "\(state)")
        }

        @Test("threat/T07 clients do not slow verdicts down, or end them") func manySlowClients() throws {
            let site = try SecureAgent()
            try Data([0, 0, 0, 0, 8, 0x0a, 3, 0x61, 0x6c, 0x6c, 0xc8, 0x3e, 0]).write(
                to: URL(fileURLWithPath: site.scratch.outside + "/all"))
            /// The least of some rounds of 500 refused opens, in nanoseconds.
            let loop =
                "for ((i = 0; i < 500; i++)); do { read -r x < '\(site.scratch.path("prot/secret"))'; } 2>/dev/null && exit 1; done; exit 0"
            func round() -> Duration {
                let begin = ContinuousClock.now
                let result = site.agent.run(["bash", "-c", loop])
                #expect(result.status == 0, "\(result)")
                return ContinuousClock.now - begin
            }
            let alone = (0..<3).map { _ in round() }.min() ?? .zero
            let clients = try (0..<80).map { number in
                try Background(
                    [
                        "curl", "-skN", "--limit-rate", "10", "-m", "300", "--http2", "--cert",
                        "\(site.tls)/\(number < 40 ? "relay" : "cli").crt", "--key",
                        "\(site.tls)/\(number < 40 ? "relay" : "cli").key", "-o", "/dev/null",
                        "-H", "content-type: application/grpc", "-H", "te: trailers", "--data-binary",
                        "@\(site.scratch.outside)/all", "https://127.0.0.1:\(site.port)/feeder.LogService/WatchAlerts",
                    ],
                    folder: site.scratch.outside, waits: false)
            }
            // Everybody has asked.
            let end = Date().addingTimeInterval(90)
            func asked() throws -> Int {
                try site.audit(site.auditFolder).count {
                    $0["method"] as? String == "feeder.LogService/WatchAlerts" && $0["kind"] as? String == "request"
                }
            }
            while try asked() < 80, Date() < end { AgentUnderTest.pause() }
            #expect(try asked() == 80)
            // A machine that is busy for a while is no client's fault: what clients do to verdicts would show in every round.
            var beside = round()
            for _ in 0..<19 where beside > alone * 3 { beside = min(beside, round()) }
            for _ in 0..<200 { site.secretIsDenied() }
            let own: (AgentUnderTest.Alert) -> Bool = { $0["ProcessName"]?.hasSuffix("/portcullis-victim") == true }
            #expect(site.agent.alerts(atLeast: 200, where: own).count == 200)
            #expect(site.call("feeder.LogService/HealthCheck", as: "cli").status == "200")
            for client in clients { client.stop() }
            // And one that is busy from then on is slow without clients, too.
            let again = beside > alone * 3 ? (0..<3).map { _ in round() }.min() ?? .zero : .zero
            #expect(
                beside <= max(alone, again) * 3,
                "500 refusals: \(alone) and \(again) without clients, \(beside) beside 80")
        }

        @Test("threat/T09 an agent's certificate opens nothing at a relay or another agent") func agentsAreNobody()
            throws
        {
            let site = try SecureAgent()
            let relay = try site.startRelay()
            for method in [
                "portcullis.v1.Relay/ListAgents", "portcullis.v1.Control/ApplyPolicies",
                "feeder.LogService/WatchAlerts", "portcullis.v1.Telemetry/Stream",
            ] {
                #expect(site.call(method, as: "other", port: relay.port).status == "000", "\(method)")
                #expect(site.call(method, as: "other").status == "000", "\(method)")
            }
            // A relay may look, not change; nor may whoever asks it.
            #expect(site.call("portcullis.v1.Control/ApplyPolicies", as: "relay").code == "7")
            #expect(site.call("portcullis.v1.Control/ApplyPolicies", as: "controller", port: relay.port).code == "7")
            #expect(site.call("portcullis.v1.Relay/ListAgents", as: "cli", port: relay.port).code == "0")
        }

        @Test("threat/T10 nothing that a peer says is executed") func nothingIsExecuted() throws {
            let site = try SecureAgent()
            let canary = site.scratch.outside + "/canary"
            for name in [
                "$(touch \(canary))", "`touch \(canary)`", "%n%n%n%s", "../../../../\(canary)", "; touch \(canary)",
            ] {
                let event =
                    #"{"type":"ADDED","object":{"metadata":{"name":"\#(name)"},"spec":{"nodeSelector":{"matchLabels":{"kubearmor.io/hostname":"*"}},"file":{"matchPaths":[{"path":"/x"}]},"action":"Block","message":"\#(name)"}}}"#
                let payload = Array(event.utf8)
                let length = [UInt8(payload.count & 0x7f | 0x80), UInt8(payload.count >> 7)]
                let message = [0x0a] + length + payload
                let framed = [0] + (0..<4).map { UInt8(message.count >> (24 - 8 * $0) & 0xff) } + message
                let outcome = site.call(
                    "policy.PolicyService/hostPolicy", as: "controller",
                    hex: framed.map { String(format: "%02x", $0) }.joined())
                #expect(outcome.code == "0", "\(outcome)")
                _ = site.call("policy.PolicyService/\(name.filter { $0 != " " })", as: "controller")
            }
            #expect(!FileManager.default.fileExists(atPath: canary))
            #expect(site.agent.tool("get", "policies").status == 0)
            // There is no method to run, end or load anything.
            for method in [
                "portcullis.v1.Control/Run", "portcullis.v1.Control/Stop", "portcullis.v1.Control/Unlock",
                "state_agent.StateAgent/WatchState", "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            ] {
                #expect(["7", "12"].contains(site.call(method, as: "controller").code), "\(method)")
            }
            site.secretIsDenied()
        }

        @Test("threat/T11 crafted messages do not change what is enforced") func craftedMessages() throws {
            let site = try SecureAgent()
            let methods = [
                "feeder.LogService/WatchAlerts", "portcullis.v1.Telemetry/Stream", "policy.PolicyService/hostPolicy",
                "portcullis.v1.Control/ApplyPolicies", "portcullis.v1.Control/DeletePolicy",
                "grpc.health.v1.Health/Watch",
            ]
            let before = site.agent.tool("get", "policies", "--json").output
            let fuzzer = try Background(
                [hostile, "fuzz", "\(site.port)", site.tls + "/ca.crt", site.tls + "/controller", "400"] + methods,
                folder: site.scratch.outside)
            #expect(fuzzer.wait() == 0 && fuzzer.text.contains("sent "), "\(fuzzer.text)")
            site.secretIsDenied()
            #expect(site.agent.tool("get", "policies", "--json").output == before)
            #expect(site.call("feeder.LogService/HealthCheck", as: "cli").status == "200", "the gateway is there")
            // The one that reads messages may die: what is enforced does not depend on it.
            _ = Shell.run("pkill", "-KILL", "-P", "\(site.agent.pid)", "portcullis-gate")
            site.secretIsDenied()
        }
    }
}

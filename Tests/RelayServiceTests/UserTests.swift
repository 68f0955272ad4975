import Foundation
import LinuxKernel
import RPCTransport
import Testing

@testable import RelayService

/// People who have a token instead of a certificate, over gRPC and on the page.
@Suite(.serialized, .timeLimit(.minutes(10))) struct UserTests {
    /// A relay that takes tokens.
    private struct Site {
        let folder: TestFolder
        let agent: TestAgent
        let relay: TestRelay
        let tokens: TestTokens
        let port: Int
        let web: Int

        init(mayChange: Bool = false) async throws {
            let folder = try TestFolder()
            let agent = try TestAgent("node1", folder.texts(.agent, "node1"), folder: folder.path)
            let tokens = try await TestTokens(folder.path + "/tokens", keys: "a", "rsa")
            let free = try TCPSocket.listen(try #require(TCPSocket.Place("127.0.0.1:0")))
            let port = Int(try TCPSocket.port(of: free.raw))
            // Given back, so that the relay can have it.
            _ = consume free
            relay = try TestRelay(folder) {
                $0.agents = [AgentEndpoint(host: "127.0.0.1", port: agent.port, names: ["node1"])]
                $0.web.listen = "127.0.0.1:0"
                $0.mayChange = mayChange
                var oidc = TokenConfiguration()
                (oidc.listen, oidc.settings) = (["127.0.0.1:\(port)"], tokens.settings())
                $0.oidc = oidc
            }
            (self.folder, self.agent, self.tokens, self.port) = (folder, agent, tokens, port)
            web = try await relay.webPort()
            try await relay.wait { $0.first?.isConnected == true }
        }

        /// Asks as a Python program with grpcio does; what it prints. A token of `nil` is none.
        func ask(_ token: String?, _ words: String..., certificate: String? = nil) async throws -> String {
            let shared = ProcessInfo.processInfo.environment["PORTCULLIS_SHARED"] ?? TestTokens.package + "/../shared"
            let protos = folder.path + "/protos"
            let programs = TestTokens.package + "/integration/foreign-client"
            if !FileManager.default.fileExists(atPath: protos) {
                _ = try await WebClient.run([programs + "/build-protos", shared + "/compat/grpc-api.md", protos])
            }
            var options = ["--timeout", "120", "--server-name", "localhost"]
            if let certificate {
                options += ["--tls", folder.authority.path, certificate]
            } else {
                options += ["--authority", folder.authority.path + "/ca.crt"]
            }
            if let token {
                let file = folder.path + "/token-\(UUID().uuidString.prefix(8))"
                try token.write(toFile: file, atomically: true, encoding: .utf8)
                options += ["--token", file]
            }
            return try await WebClient.run(
                ["env", "PYTHONPATH=\(TestTokens.package)/.build-python", "python3", programs + "/client"] + options
                    + [protos, "127.0.0.1:\(port)"] + words)
        }

        /// Writes a token for its owner only.
        func file(_ token: String, mode: Int = 0o600) throws -> String {
            let file = folder.path + "/token-\(UUID().uuidString.prefix(8))"
            try Data(token.utf8).write(to: URL(fileURLWithPath: file))
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
            return file
        }

        /// Runs the built command line tool in a folder that has the authority's certificate and none of the caller's; what it
        /// prints, and its exit code behind that.
        func tool(_ words: [String], environment: [String] = []) async throws -> String {
            let tls = folder.path + "/people"
            if !FileManager.default.fileExists(atPath: tls) {
                try FileManager.default.createDirectory(atPath: tls, withIntermediateDirectories: true)
                try FileManager.default.copyItem(
                    atPath: folder.authority.path + "/ca.crt", toPath: tls + "/ca.crt")
            }
            return try await WebClient.run(
                ["env"] + environment + [
                    "sh", "-c", #""$@" 2>&1; echo "exit $?""#, "-", TestFolder.binaries + "/portcullis",
                ] + words + [
                    "--server", "127.0.0.1:\(port)", "--tls-folder", tls,
                ])
        }

        /// Begins a session on the page with a token.
        func session(_ token: String) async throws -> WebClient.Answer {
            try await page.ask(
                "/api/session",
                [
                    "-X", "POST", "-d", "{}", "-H", "origin: https://localhost:\(web)", "-H",
                    "content-type: application/json", "-H", "authorization: Bearer \(token)",
                ])
        }

        var page: WebClient { WebClient(port: web, folder: folder) }

        /// Everything that the relay wrote down.
        var audit: String {
            get throws {
                let path = folder.path + "/state/audit"
                return try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(".jsonl") }
                    .map { try String(contentsOfFile: path + "/" + $0, encoding: .utf8) }.joined()
            }
        }
    }

    @Test("threat/T22 a token is who it says, over gRPC") func tokensOverGRPC() async throws {
        let site = try await Site()
        let now = Int(Date().timeIntervalSince1970)
        typealias Wanted = TestTokens.Wanted
        let tokens = try await site.tokens.make([
            Wanted(), Wanted(claims: ["exp": now - 1]), Wanted(algorithm: "none"), Wanted(claims: ["groups": ["x"]]),
        ])
        #expect(try await site.ask(tokens[0], "health", "7") == "{\"Retval\": 7}\n")
        for (token, reason) in [
            (nil, "a bearer token is needed"), (tokens[1], "the token has expired"),
            (tokens[2], "the token's algorithm is not permitted"), (tokens[3], "oidc:ann has no role here"),
            (String("bearer"), "not a JSON Web Token"),
        ] {
            #expect(
                try await site.ask(token, "health", "7")
                    == "{\"code\": \"UNAUTHENTICATED\", \"details\": \"\(reason)\"}\n")
        }
        // Who looks changes nothing, and where tokens are shown nobody's certificate counts.
        let policy = try await site.ask(tokens[0], "probe")
        #expect(policy.contains("UNIMPLEMENTED") || policy.contains("PERMISSION_DENIED"), "\(policy)")
        _ = try site.folder.texts(.controller, "eve")
        let eve = try await site.ask(nil, "health", "7", certificate: "controller-eve")
        #expect(eve.contains("a bearer token is needed"), "\(eve)")
        // What was begun with a token ends with it. On a slow machine it may have ended before it was shown.
        var watched = ""
        for seconds in [8, 30, 120] where !(try site.audit.contains("\"oidc:short\"")) {
            let end = Int(Date().timeIntervalSince1970) + seconds
            let token = try await site.tokens.token("a", "RS256", ["exp": end, "sub": "short"])
            watched = try await site.ask(token, "watch", "alerts", "1")
            #expect(Int(Date().timeIntervalSince1970) >= end)
        }
        #expect(
            watched.hasSuffix("{\"code\": \"UNAUTHENTICATED\", \"details\": \"the token has expired\"}\n"), "\(watched)"
        )
        let audit = try site.audit
        for text in [
            "\"oidc:ann\"", "\"oidc:short\"", "unauthenticated: the token has expired",
            "unauthenticated: oidc:ann has no role here", "127.0.0.1:",
        ] { #expect(audit.contains(text), "\(text)") }
        for token in tokens {
            for part in token.split(separator: ".").dropFirst() { #expect(!audit.contains(part)) }
        }
        await site.relay.stop()
    }

    @Test("threat/T22 a token begins a session, for as long as it is valid") func tokensOnThePage() async throws {
        let site = try await Site()
        let now = Int(Date().timeIntervalSince1970)
        typealias Wanted = TestTokens.Wanted
        let tokens = try await site.tokens.make([
            Wanted(), Wanted(claims: ["exp": now - 1]), Wanted(algorithm: "HS256"), Wanted(claims: ["groups": []]),
        ])
        let answer = try await site.session(tokens[0])
        #expect(answer.status == 200 && answer.body.contains("\"oidc:ann\""))
        let cookie = String(try #require(answer.field("set-cookie")).prefix { $0 != ";" })
        #expect(try await site.page.ask("/api/agents", ["-H", "cookie: \(cookie)"]).body.contains("node1"))
        // A token is shown once; it is no cookie, and opens nothing itself.
        #expect(
            try await site.page.ask("/api/agents", ["-H", "authorization: Bearer \(tokens[0])"]).status == 401)
        for token in tokens[1...3] + ["", "x.y.z"] { #expect(try await site.session(token).status == 401) }
        var (short, last) = (answer, 0)
        for seconds in [4, 20, 90] where last == 0 || short.status != 200 {
            last = Int(Date().timeIntervalSince1970) + seconds
            short = try await site.session(try await site.tokens.token("a", "RS256", ["exp": last]))
        }
        let brief = String(try #require(short.field("set-cookie")).prefix { $0 != ";" })
        let end = ContinuousClock.now + .seconds(180)
        while try await site.page.ask("/api/agents", ["-H", "cookie: \(brief)"]).status == 200,
            ContinuousClock.now < end
        {
            try await Task.sleep(for: .milliseconds(500))
        }
        #expect(Int(Date().timeIntervalSince1970) >= last)
        #expect(try await site.page.ask("/api/agents", ["-H", "cookie: \(brief)"]).status == 401)
        #expect(try await site.page.ask("/api/agents", ["-H", "cookie: \(cookie)"]).status == 200)
        let audit = try site.audit
        #expect(audit.contains("\"oidc:ann\""))
        for token in tokens { #expect(!audit.contains(token.split(separator: ".")[1])) }
        await site.relay.stop()
    }

    @Test("threat/T22 the command line tool shows a token, and only to a relay") func tokensOfTheTool() async throws {
        let site = try await Site(mayChange: true)
        let now = Int(Date().timeIntervalSince1970)
        typealias Wanted = TestTokens.Wanted
        let tokens = try await site.tokens.make([
            Wanted(), Wanted(claims: ["groups": ["changes"], "sub": "otto"]), Wanted(claims: ["exp": now - 1]),
        ])
        // Ends in a line's end, as what programs write does.
        let (ann, otto) = (try site.file(tokens[0] + "\n"), try site.file(tokens[1]))
        site.agent.alert(["/etc/shadow"])
        _ = try await site.relay.alerts(1)
        for (words, part) in [
            (["get", "policies"], "policy-of-node1"), (["logs", "--limit", "1", "--resume-from", "0"], "/etc/shadow"),
            (["summary", "--all", "--seconds", "1"], "/usr/bin/cat"),
            (["profile", "--all", "--seconds", "1"], "/etc/shadow"),
            (["recommend", "--all", "--seconds", "1"], "KubeArmor"),
        ] {
            let output = try await site.tool(words + ["--token-file", ann])
            #expect(output.contains(part) && output.hasSuffix("exit 0\n"), "\(words): \(output)")
        }
        let variable = try await site.tool(["get", "policies"], environment: ["PORTCULLIS_TOKEN_FILE=\(ann)"])
        #expect(variable.contains("policy-of-node1") && variable.hasSuffix("exit 0\n"), "\(variable)")
        // Who looks changes nothing; who changes does.
        let policy = site.folder.path + "/policy.yaml"
        try """
        apiVersion: security.kubearmor.com/v1
        kind: KubeArmorHostPolicy
        metadata: {name: one}
        spec: {nodeSelector: {matchLabels: {kubearmor.io/hostname: "*"}}, file: {matchPaths: [{path: /x}]}, action: Block}
        """.write(toFile: policy, atomically: true, encoding: .utf8)
        let denied = try await site.tool(["apply", "-f", policy, "--token-file", ann])
        #expect(denied.contains("may not call") && denied.hasSuffix("exit 4\n"), "\(denied)")
        let applied = try await site.tool(["apply", "-f", policy, "--token-file", otto])
        #expect(applied.contains("node1") && applied.hasSuffix("exit 0\n"), "\(applied)")

        // One line for everything that is wrong with a token or its file.
        let missing = site.folder.path + "/nowhere"
        for (file, line, code) in [
            (try site.file(tokens[2]), "127.0.0.1:\(site.port): the token has expired", 4),
            (try site.file(tokens[0], mode: 0o644), "everybody can read or write this token (chmod o-rw)", 1),
            (try site.file(""), "there is no token in it", 1), (try site.file(" \n"), "there is no token in it", 1),
            (try site.file(tokens[0] + "\r\nx: y"), "something else than one token is in it", 1),
            (try site.file(String(repeating: "x", count: 20_000)), "longer than a token (16 KiB)", 1),
            (missing, "No such file or directory", 1), (site.folder.path, "not a file with a token", 1),
        ] {
            let output = try await site.tool(["get", "policies", "--token-file", file])
            let expected = code == 4 ? "portcullis: \(line)" : "portcullis: \(file): \(line)"
            #expect(output == "\(expected)\nexit \(code)\n", "\(output)")
        }
        // A token is for relays of the authority: at the place for certificates, and with anybody else there, it stays here.
        let elsewhere = try await site.tool(
            ["get", "policies", "--token-file", ann, "--expect", "relay/other"])
        #expect(elsewhere.contains("not relay/other") && elsewhere.hasSuffix("exit 4\n"), "\(elsewhere)")
        let agent = try await site.tool(["get", "policies", "--token-file", ann, "--expect", "agent/node1"])
        #expect(agent.contains("--expect must be relay/NAME") && agent.hasSuffix("exit 2\n"), "\(agent)")
        let audit = try site.audit
        #expect(audit.contains("\"oidc:ann\"") && audit.contains("\"oidc:otto\""))
        for token in tokens { #expect(!audit.contains(token.split(separator: ".")[1])) }
        await site.relay.stop()
    }
}

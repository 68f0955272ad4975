import EventSpool
import Foundation
import RPCTransport
import Testing

@testable import RelayService

/// The page's interface, asked as browsers and as those who imitate them do.
@Suite(.serialized, .timeLimit(.minutes(10))) struct WebTests {
    /// A relay with a page, an agent, and who may look at it.
    private struct Site {
        let folder: TestFolder
        let agent: TestAgent
        let relay: TestRelay
        let port: Int

        init() async throws {
            folder = try TestFolder()
            let agent = try TestAgent("node1", folder.texts(.agent, "node1"), folder: folder.path)
            self.agent = agent
            _ = try (folder.texts(.cli, "ann"), folder.texts(.cli, "bob"))
            relay = try TestRelay(folder) {
                $0.agents = [AgentEndpoint(host: "127.0.0.1", port: agent.port, names: ["node1"])]
                $0.web.listen = "127.0.0.1:0"
            }
            port = try await relay.webPort()
            try await relay.wait { $0.first?.isConnected == true }
        }

        var origin: String { "https://localhost:\(port)" }
        var ann: WebClient { WebClient(port: port, folder: folder, certificate: "cli-ann") }
        var nobody: WebClient { WebClient(port: port, folder: folder) }

        /// What a change of the page's own needs.
        func own(_ more: String...) -> [String] {
            ["-H", "origin: \(origin)", "-H", "content-type: application/json"] + more
        }

        /// Begins a session; the cookie, and the token that changes need.
        func session(_ client: WebClient) async throws -> (cookie: String, token: String) {
            let answer = try await client.ask("/api/session", own("-X", "POST", "-d", "{}"))
            try #require(answer.status == 200, "\(answer)")
            let field = try #require(answer.field("set-cookie"))
            let body = try JSONSerialization.jsonObject(with: Data(answer.body.utf8)) as? [String: Any]
            return (String(field.prefix { $0 != ";" }), try #require(body?["token"] as? String))
        }

        var audit: [[String: Any]] {
            get throws {
                let path = folder.path + "/state/audit"
                return try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(".jsonl") }
                    .flatMap { try String(contentsOfFile: path + "/" + $0, encoding: .utf8).split(separator: "\n") }
                    .compactMap { try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] }
            }
        }
    }

    @Test("threat/T22 nobody poses as a user") func sessions() async throws {
        let site = try await Site()
        let ann = site.ann
        let (cookie, token) = try await site.session(ann)
        let set = try #require(
            try await ann.ask("/api/session", site.own("-X", "POST", "-d", "{}")).field("set-cookie"))
        for word in ["__Host-portcullis=", "Path=/", "Secure", "HttpOnly", "SameSite=Strict"] {
            #expect(set.contains(word), "\(set)")
        }
        #expect(try await site.nobody.ask("/api/agents", ["-H", "cookie: \(cookie)"]).status == 200)
        // No cookie, a made-up one, an altered one, two of them.
        var altered = cookie
        altered.replaceSubrange(altered.index(before: altered.endIndex)..., with: altered.hasSuffix("0") ? "1" : "0")
        for field in [
            "", "cookie: __Host-portcullis=", "cookie: __Host-portcullis=\(String(repeating: "0", count: 64))",
            "cookie: \(altered)", "cookie: \(cookie); \(altered)",
        ] {
            #expect(try await ann.ask("/api/agents", field.isEmpty ? [] : ["-H", field]).status == 401, "\(field)")
        }
        // A cookie that was stolen is of no use after the logout.
        #expect(
            try await ann.ask(
                "/api/session",
                site.own("-X", "DELETE", "-H", "cookie: \(cookie)", "-H", "x-portcullis-token: \(token)")
            ).status == 204)
        #expect(try await ann.ask("/api/agents", ["-H", "cookie: \(cookie)"]).status == 401)
        // Without a certificate there is no session, and after 20 attempts nothing is looked at.
        var statuses: [Int] = []
        for _ in 0..<22 {
            statuses.append(try await site.nobody.ask("/api/session", site.own("-X", "POST", "-d", "{}")).status)
        }
        #expect(statuses == Array(repeating: 401, count: 20) + [429, 429])
        await site.relay.stop()
    }

    @Test("threat/T23 the relay cannot deny a request") func everyActionIsWrittenDown() async throws {
        let site = try await Site()
        let (cookie, _) = try await site.session(site.ann)
        _ = try await site.ann.ask("/api/history?policy=one%0atwo", ["-H", "cookie: \(cookie)"])
        _ = try await site.ann.ask("/api/agents")
        _ = try await site.ann.ask("/api/session", ["-X", "DELETE", "-H", "cookie: \(cookie)"])
        let records = try site.audit
        func find(_ method: String, _ kind: String) -> [[String: Any]] {
            records.filter { $0["method"] as? String == method && $0["kind"] as? String == kind }
        }
        let history = find("GET /api/history", "request")
        #expect(history.count == 1 && history[0]["peer"] as? String == "spiffe://test.example/cli/ann")
        #expect(history[0]["object"] as? String == "policy=one%0atwo")
        #expect(find("GET /api/history", "outcome").first?["outcome"] as? String == "200")
        #expect(find("GET /api/agents", "refusal").first?["outcome"] as? String == "401")
        #expect(find("DELETE /api/session", "refusal").first?["outcome"] as? String == "403")
        await site.relay.stop()
    }

    @Test("threat/T24 users do not slow the relay down for others") func slowUsers() async throws {
        let site = try await Site()
        let (cookie, _) = try await site.session(site.ann)
        // 300 connections that begin a request and do not end it, and one stream that nobody reads.
        let slow = try await SlowConnection.open(300, port: site.port, text: "G")
        let lazy = try await SlowConnection.open(1, port: site.port, text: "")
        let bob = WebClient(port: site.port, folder: site.folder, certificate: "cli-bob")
        let (other, _) = try await site.session(bob)
        site.agent.alert((1...5000).map { "/flood/\($0)" })
        site.agent.alert(["/seen"])
        _ = try await site.relay.alerts(5001)
        let stream = try await bob.stream("/api/events?recent=3", ["-H", "cookie: \(other)"]) { $0.contains("/seen") }
        #expect(stream.text.contains("/seen"), "\(stream.text.prefix(2000))")
        // One user has eight streams.
        var streams: [WebStream] = []
        for _ in 0..<8 {
            streams.append(
                try await site.ann.stream("/api/events", ["-H", "cookie: \(cookie)"]) { $0.contains("retry:") })
        }
        #expect(try await site.ann.ask("/api/events", ["-H", "cookie: \(cookie)"]).status == 429)
        #expect(streams.allSatisfy { $0.text.hasPrefix("retry:") })
        streams = []
        // Whoever does not end a request is closed: 10 seconds for a handshake.
        let end = ContinuousClock.now + .seconds(60)
        while !slow.allSatisfy(\.isClosed), ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(100)) }
        let left = slow.filter { !$0.isClosed }
        #expect(left.isEmpty)
        lazy.forEach { $0.end() }
        #expect(
            try await bob.ask(
                "/api/agents", ["-H", "cookie: \(other)", "-H", "x: \(String(repeating: "x", count: 40_000))"]
            ).status != 200)
        _ = try await site.session(bob)
        let large = site.folder.path + "/large"
        try Data(repeating: 0x20, count: 1 << 20).write(to: URL(fileURLWithPath: large))
        #expect(try await bob.ask("/api/session", site.own("-X", "POST", "--data-binary", "@\(large)")).status != 500)
        #expect(try await bob.ask("/healthz").status == 200)
        await site.relay.stop()
    }

    @Test("threat/T25 a stream goes on where it was, or says what is missing") func streams() async throws {
        let site = try await Site()
        let (cookie, _) = try await site.session(site.ann)
        site.agent.alert((1...50).map { "/\($0)" })
        _ = try await site.relay.alerts(50)
        @Sendable func parse(_ text: String) -> [(id: String, data: String, kind: String)] {
            text.components(separatedBy: "\n\n").compactMap { block in
                var fields: [String: String] = [:]
                for line in block.split(separator: "\n") {
                    guard let colon = line.firstIndex(of: ":") else { continue }
                    fields[String(line[..<colon])] = line[line.index(after: colon)...].trimmingCharacters(
                        in: .whitespaces)
                }
                guard let id = fields["id"], let data = fields["data"] else { return nil }
                return (id, data, fields["event"] ?? "message")
            }
        }
        @Sendable func missed(_ events: [(id: String, data: String, kind: String)]) -> Int {
            events.filter { $0.kind == "gap" }.compactMap {
                $0.data.firstMatch(of: /"missed":([0-9]+)/).flatMap { Int($0.1) }
            }.reduce(0, +)
        }
        func events(
            _ path: String, _ last: String? = nil, until isEnough: @escaping @Sendable (String) -> Bool
        ) async throws -> [(id: String, data: String, kind: String)] {
            let fields = ["-H", "cookie: \(cookie)"] + (last.map { ["-H", "last-event-id: \($0)"] } ?? [])
            return parse(try await site.ann.stream(path, fields, until: isEnough).text)
        }
        func resources(_ events: [(id: String, data: String, kind: String)]) throws -> [String] {
            try events.filter { $0.kind == "message" }.map {
                let fields = try JSONSerialization.jsonObject(with: Data($0.data.utf8)) as? [String: Any]
                return fields?["resource"] as? String ?? ""
            }
        }
        let first = try await events("/api/events?recent=20") { $0.contains("/50\"") }
        let newest = try resources(first)
        #expect(newest == (31...50).map { "/\($0)" })
        // While nobody listens.
        site.agent.alert((51...120).map { "/\($0)" })
        _ = try await site.relay.alerts(120)
        let second = try await events("/api/events?recent=20", first.last?.id) { $0.contains("/120\"") }
        let following = try resources(second)
        #expect(following == (51...120).map { "/\($0)" }, "no gap, and nothing twice")
        #expect(second.allSatisfy { $0.kind == "message" })
        // More than anybody reads in a second: the rest is told.
        site.agent.alert((121...2000).map { "/\($0)" })
        _ = try await site.relay.alerts(2000)
        let third = try await events("/api/events", second.last?.id) { text in
            let events = parse(text)
            return events.count { $0.kind == "message" } + missed(events) >= 1880
        }
        let shown = try resources(third).count
        #expect(missed(third) > 0 && shown + missed(third) == 1880, "\(shown) shown, \(missed(third)) not")
        // Numbers of another relay are not ours.
        let other = try await events("/api/events", "0123456789abcdef-7") { $0.contains("\"/1\"") }
        let oldest = try resources(other).first
        #expect(other.first?.kind == "message" && oldest == "/1")
        #expect(try await site.ann.ask("/api/events?filter=Nothing%3Dx", ["-H", "cookie: \(cookie)"]).status == 400)
        await site.relay.stop()
    }

    @Test("threat/T27 nothing of a request is a path or a program") func paths() async throws {
        let site = try await Site()
        let (cookie, _) = try await site.session(site.ann)
        let own = ["-H", "cookie: \(cookie)"]
        for path in [
            "/..%2f..%2fetc%2fpasswd", "/../../../../etc/passwd", "/....//....//etc/passwd", "//etc/passwd", "/%00",
            "/app.js%00.html",
            "/Assets/index.html", "/api/..%2f..%2f", "/api/agents/../../etc/passwd", "/%252e%252e/", "/{{7*7}}",
            "/${jndi:x}", "/api/agents;x",
        ] {
            let answer = try await site.ann.ask(path, own + ["-g"])
            #expect([400, 404].contains(answer.status) && !answer.body.contains("root:"), "\(path): \(answer.status)")
        }
        let split = try await site.ann.ask("/api/agents?x=%0d%0aset-cookie:%20evil=1", own)
        #expect(split.status == 200 && split.field("set-cookie") == nil)
        for query in ["policy={{7*7}}", "policy=$(touch%20/tmp/pwn)", "policy=%27;DROP%20TABLE%20record;--"] {
            let answer = try await site.ann.ask("/api/history?" + query, own + ["-g"])
            #expect(answer.status == 200 && answer.body == "[]", "\(answer)")
        }
        await site.relay.stop()
    }

    @Test("threat/T28 crafted requests do not steer the relay") func craftedRequests() async throws {
        let site = try await Site()
        let (cookie, _) = try await site.session(site.ann)
        let own = ["-H", "cookie: \(cookie)"]
        for path in [
            "/api/counts?seconds=0", "/api/counts?seconds=-1", "/api/counts?seconds=99999999999999999999",
            "/api/counts?span=31622400&seconds=1",
            "/api/history?limit=1001", "/api/history?before=-1", "/api/counts?seconds=1e3",
            "/api/history?policy=\(String(repeating: "x", count: 2000))",
            "/api/events?filter=", "/api/events?filter=Resource%3D\(String(repeating: "x", count: 2000))",
        ] { #expect(try await site.ann.ask(path, own).status == 400, "\(path)") }
        let many =
            (0..<20).map { "filter=Resource%3D\($0)" }.joined(separator: "&") + "&"
            + (0..<17).map { "filter=F\($0)%3Dx" }.joined(separator: "&")
        #expect(try await site.ann.ask("/api/events?" + many, own).status == 400)
        // What is not HTTP, or twice what is to be there once.
        for text in [
            "\u{0}\u{1}\u{2}", "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            String(repeating: "A", count: 100_000),
        ] {
            let answer = try await WebClient.run([
                "bash", "-c",
                "printf '%s' \"$1\" | timeout 5 openssl s_client -quiet -connect localhost:\(site.port) -CAfile \(site.folder.authority.path)/ca.crt 2>/dev/null",
                "-", text.replacingOccurrences(of: "\u{0}", with: ""),
            ])
            #expect(!answer.contains("HTTP/1.1 200"), "\(text.prefix(40)): \(answer.prefix(200))")
        }
        var random = SystemRandomNumberGenerator()
        for _ in 0..<30 {
            let bytes = (0..<Int.random(in: 1...60, using: &random)).map { _ in
                String(format: "%%%02x", UInt8.random(in: 0...255, using: &random))
            }.joined()
            let status = try await site.ann.ask("/api/history?policy=\(bytes)&before=\(bytes)", own).status
            #expect(status == 400, "\(bytes)")
        }
        #expect(try await site.ann.ask("/api/agents", own).status == 200)
        await site.relay.stop()
    }

    @Test("threat/T29 another site does not drive a user's browser") func otherSites() async throws {
        let site = try await Site()
        let (cookie, token) = try await site.session(site.ann)
        let (_, foreign) = try await site.session(site.ann)
        let with = ["-X", "DELETE", "-H", "cookie: \(cookie)"]
        let json = ["-H", "content-type: application/json"]
        let (mine, evil) = (["-H", "origin: \(site.origin)"], ["-H", "origin: https://evil.example"])
        let right = ["-H", "x-portcullis-token: \(token)"]
        for (name, fields, status) in [
            ("another origin", evil + json + right, 403), ("no origin", json + right, 403),
            ("origin null", ["-H", "origin: null"] + json + right, 403),
            ("no token", mine + json, 403),
            ("another session's token", mine + json + ["-H", "x-portcullis-token: \(foreign)"], 403),
            ("a form", mine + ["-H", "content-type: application/x-www-form-urlencoded"] + right, 415),
            ("text", mine + ["-H", "content-type: text/plain"] + right, 415),
            ("for another site", mine + json + right + ["-H", "sec-fetch-site: cross-site"], 403),
            ("for a sibling", mine + json + right + ["-H", "sec-fetch-site: same-site"], 403),
        ] {
            #expect(try await site.ann.ask("/api/session", with + fields).status == status, "\(name)")
            #expect(
                try await site.ann.ask("/api/session", ["-H", "cookie: \(cookie)"]).status == 200,
                "\(name): the session is still there")
        }
        // Nor is a session begun, or anything read, for another site.
        #expect(try await site.ann.ask("/api/session", ["-X", "POST", "-d", "{}"] + evil + json).status == 403)
        #expect(
            try await site.ann.ask("/api/agents", ["-H", "cookie: \(cookie)", "-H", "sec-fetch-site: cross-site"])
                .status == 403)
        let read = try await site.ann.ask("/api/agents", ["-H", "cookie: \(cookie)"])
        #expect(read.status == 200 && read.field("access-control-allow-origin") == nil)
        let page = try await site.nobody.ask("/")
        #expect(
            page.field("content-security-policy")?.contains("frame-ancestors 'none'") == true
                && page.field("x-frame-options") == "DENY")
        #expect(try await site.ann.ask("/api/session", with + mine + json + right).status == 204)
        await site.relay.stop()
    }
}

/// A TCP connection that says a little and then waits.
final class SlowConnection: Sendable {
    private let descriptor: Int32

    /// Connects one after another, without keeping a thread of the tests waiting: the relay accepts on these, too.
    static func open(_ count: Int, port: Int, text: String) async throws -> [SlowConnection] {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    with: Result { try (0..<count).map { _ in try SlowConnection(port: port, text: text) } })
            }
        }
    }

    private init(port: Int, text: String) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port).bigEndian)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(descriptor >= 0 && result == 0, "\(String(cString: strerror(errno)))")
        _ = send(descriptor, text, text.utf8.count, Int32(MSG_NOSIGNAL))
    }

    deinit { close(descriptor) }

    func end() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// The other side has closed it.
    var isClosed: Bool {
        var byte: UInt8 = 0
        let count = recv(descriptor, &byte, 1, Int32(MSG_DONTWAIT))
        return count == 0 || (count < 0 && errno != EAGAIN)
    }
}

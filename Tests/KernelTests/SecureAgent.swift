import Foundation
import Testing

/// A real agent that offers gRPC by TLS on loopback, an authority of its own, and a file that nobody may open.
final class SecureAgent {
    let scratch: Scratch
    let agent: AgentUnderTest
    let socket: String
    let port: Int
    let tls: String
    private(set) var relays: [Background] = []

    init(_ options: [String] = [], name: String = "node1") throws {
        scratch = try Scratch()
        tls = scratch.outside + "/tls"
        socket = scratch.agentDirectory + "/run/grpc.sock"
        let binaries = scratch.binaries
        let folder = tls
        @discardableResult func certs(_ words: String...) throws -> String {
            try Shell.check([binaries + "/portcullis", "certs"] + words + ["--folder", folder])
        }
        try certs("init", "--trust-domain", "test.example")
        try certs("issue", "--role", "agent", "--name", name, "--file", "server", "--dns", "localhost")
        for (role, file) in [
            ("relay", "relay"), ("cli", "cli"), ("vm", "vm"), ("controller", "controller"), ("agent", "other"),
        ] {
            try certs("issue", "--role", role, "--name", "\(file)1", "--file", file, "--dns", "localhost")
        }
        agent = try AgentUnderTest(
            scratch, policies: ["p.yaml": AgentUnderTest.policy(file: AgentUnderTest.protectedTree)],
            options: ["--grpc-socket", socket, "--grpc-listen", "127.0.0.1:0", "--tls-folder", tls] + options)
        port = try #require(Self.number(after: "gRPC by TLS on port ", in: agent.log), "\(agent.log)")
        let end = Date().addingTimeInterval(60)
        while call("feeder.LogService/HealthCheck", as: "relay").status != "200", Date() < end {
            AgentUnderTest.pause()
        }
    }

    deinit { for relay in relays { relay.stop() } }

    /// `feeder.RequestMessage{Filter: "all", ResumeAfter: 0}`, framed.
    private static let everything = "0000000008" + "0a03616c6c" + "c83e00"

    /// What a call came to: HTTP's status (000 without an answer), gRPC's, and the bytes of the body.
    struct Outcome {
        var status: String
        var code: String
        var body: Data
    }

    /// Calls a method as curl does, with a certificate of the folder, or without one.
    func call(
        _ method: String, as certificate: String?, port: Int? = nil, hex: String = "0000000000", seconds: Int = 30,
        _ more: [String] = [],
        scheme: String = "https"
    ) -> Outcome {
        let place = scratch.outside + "/call-\(UUID().uuidString.prefix(8))"
        let bytes = stride(from: 0, to: hex.count, by: 2).compactMap {
            UInt8(hex.dropFirst($0).prefix(2), radix: 16)
        }
        try? Data(bytes).write(to: URL(fileURLWithPath: place + ".request"))
        var words = ["curl", "-sk", "-m", "\(seconds)", "-o", place, "-D", place + ".head", "-w", "%{http_code}"]
        words += scheme == "https" ? ["--http2"] : ["--http2-prior-knowledge"]
        if let certificate { words += ["--cert", "\(tls)/\(certificate).crt", "--key", "\(tls)/\(certificate).key"] }
        words += ["-H", "content-type: application/grpc", "-H", "te: trailers"]
        if !more.contains("--data-binary") { words += ["--data-binary", "@\(place).request"] }
        let result = Shell.run(words + more + ["\(scheme)://127.0.0.1:\(port ?? self.port)/\(method)"])
        let head = (try? String(contentsOfFile: place + ".head", encoding: .utf8)) ?? ""
        let code = head.split(whereSeparator: \.isNewline).last { $0.hasPrefix("grpc-status:") }?.dropFirst(12)
        return Outcome(
            status: result.output, code: (code ?? "").trimmingCharacters(in: .whitespaces),
            body: FileManager.default.contents(atPath: place) ?? Data())
    }

    /// Watches all alerts there are for a moment.
    func watch(as certificate: String?, port: Int? = nil, _ more: [String] = [], scheme: String = "https") -> Outcome {
        call(
            "feeder.LogService/WatchAlerts", as: certificate, port: port, hex: Self.everything, seconds: 3, more,
            scheme: scheme)
    }

    /// Whether somebody gets an alert of the protected file, sooner or later.
    func seesTheSecret(as certificate: String, port: Int? = nil) -> Bool {
        let marker = Data(scratch.path("prot/secret").utf8)
        let end = Date().addingTimeInterval(90)
        while Date() < end {
            let outcome = watch(as: certificate, port: port)
            if outcome.status == "200", outcome.body.range(of: marker) != nil { return true }
        }
        return false
    }

    /// The protected file is denied.
    func secretIsDenied() {
        let result = agent.victim("read", scratch.path("prot/secret"))
        #expect(result.output.contains("EPERM"), "\(result)")
    }

    /// Records of an audit log.
    func audit(_ folder: String) throws -> [[String: Any]] {
        try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".jsonl") }.sorted().flatMap {
            try String(contentsOfFile: folder + "/" + $0, encoding: .utf8).split(separator: "\n").compactMap {
                try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
            }
        }
    }

    var auditFolder: String { scratch.agentDirectory + "/state/gateway" }

    /// Starts a real relay that reads this agent, and returns where it listens.
    ///
    /// - Parameter more: lines of its configuration.
    func startRelay(_ more: String = "") throws -> (port: Int, folder: String, process: Background) {
        let folder = scratch.outside + "/relay"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try """
        listen: ["127.0.0.1:0"]
        tlsFolder: \(tls)
        stateDirectory: \(folder)
        agents: [{name: node1, address: "127.0.0.1:\(port)"}]
        \(more)
        """.write(toFile: folder + "/relay.yaml", atomically: true, encoding: .utf8)
        let relay = try Background(
            [scratch.binaries + "/portcullis-relay", "--config", folder + "/relay.yaml"], folder: scratch.outside)
        relays.append(relay)
        let end = Date().addingTimeInterval(60)
        while !relay.text.contains("an agent is being read"), relay.isRunning, Date() < end { AgentUnderTest.pause() }
        return (try #require(Self.number(after: "port=", in: relay.text), "\(relay.text)"), folder + "/audit", relay)
    }

    private static func number(after mark: String, in text: String) -> Int? {
        let parts = text.components(separatedBy: mark)
        return parts.count > 1 ? Int(String(parts[1].prefix { $0.isNumber })) : nil
    }

    /// The command line tool, by TLS.
    func tool(_ port: Int, as name: String, _ words: String...) -> Shell.Result {
        Shell.run(
            [scratch.binaries + "/portcullis"] + words + [
                "--server", "127.0.0.1:\(port)", "--tls-folder", tls, "--tls-name", name,
            ])
    }
}

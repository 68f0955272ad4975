import ArgumentParser
import ClientSupport
import ControlProtocol
import Glibc

/// An agent or relay that is asked over gRPC.
struct RemoteOptions: ParsableArguments {
    /// Environment variable that names a server.
    static let serverVariable = "PORTCULLIS_SERVER"

    @Option(
        help: ArgumentHelp(
            "Ask this agent or relay over gRPC: HOST:PORT by TLS, or unix:PATH; otherwise $\(RemoteOptions.serverVariable).",
            valueName: "server"))
    var server: String?

    @Option(help: ArgumentHelp("Folder with ca.crt and the caller's certificate and key.", valueName: "path"))
    var tlsFolder = "/etc/portcullis/tls"

    @Option(help: ArgumentHelp("Name of the caller's certificate: NAME.crt, NAME.key.", valueName: "name"))
    var tlsName = "cli"

    @Option(
        help: ArgumentHelp(
            "File with the caller's OpenID Connect token, instead of a certificate, for a relay; otherwise $\(TokenFile.variable).",
            valueName: "path"))
    var tokenFile: String?

    @Option(
        help: ArgumentHelp(
            "Who has to be there: agent or relay, and its name; otherwise any agent or relay of the authority.",
            valueName: "role/name"))
    var expect: String?

    @Option(help: ArgumentHelp("Of a relay: this agent only; repeatable.", valueName: "name"))
    var agentName: [String] = []

    /// Where to ask; `nil` for the agent's own socket.
    var place: ServerPlace? {
        get throws {
            let variable = getenv(Self.serverVariable).map { String(cString: $0) } ?? ""
            guard let text = server ?? (variable.isEmpty ? nil : variable) else {
                if tokenFile != nil { throw Self.tokenWithoutRelay }
                return nil
            }
            guard let place = ServerPlace(text) else {
                throw ToolFailure("'\(text)' must be HOST:PORT or unix:PATH", code: .usage)
            }
            if case .local = place, tokenFile != nil { throw Self.tokenWithoutRelay }
            return place
        }
    }

    private static let tokenWithoutRelay = ToolFailure(
        "--token-file is for a relay: --server HOST:PORT", code: .usage)

    /// Where to ask for what only gRPC offers: without a server the gateway of this machine.
    var requiredPlace: ServerPlace {
        get throws { try place ?? .local(path: DefaultPaths.ownGatewaySocket) }
    }

    /// Opens a connection for the time of a closure, and turns what goes wrong into one line.
    func withSession<Result: Sendable>(
        _ place: ServerPlace, _ body: @escaping @Sendable (RemoteSession.Client) async throws -> Result
    ) throws -> Result {
        let variable = getenv(TokenFile.variable).map { String(cString: $0) } ?? ""
        let session = RemoteSession(
            place: place, tlsFolder: tlsFolder, tlsName: tlsName, expect: expect,
            tokenFile: (tokenFile ?? (variable.isEmpty ? nil : variable)).map(TokenFile.init))
        return try Blocking.run { try await session.run(body) }
    }
}

/// A server's place.
enum ServerPlace: Equatable, Sendable {
    case local(path: String)
    case remote(host: String, port: Int)

    init?(_ text: String) {
        if text.hasPrefix("unix:") {
            let path = text.dropFirst("unix:".count)
            guard !path.isEmpty else { return nil }
            self = .local(path: String(path))
            return
        }
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0 else {
            return nil
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty else { return nil }
        self = .remote(host: String(host), port: Int(port))
    }

    /// For messages.
    var text: String {
        switch self {
        case .local(let path): path
        case .remote(let host, let port): "\(host):\(port)"
        }
    }
}

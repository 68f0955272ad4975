import Foundation
import NIOSSL
import Synchronization

/// PEM texts: whom we trust, and who we are.
package struct CredentialTexts: Sendable, Hashable {
    /// The authority's certificates.
    package var authority: [UInt8]
    /// Our certificate, and what is between it and the authority.
    package var certificate: [UInt8]
    /// Our private key.
    package var key: [UInt8]

    /// Creates the texts.
    package init(authority: [UInt8], certificate: [UInt8], key: [UInt8]) {
        self.authority = authority
        self.certificate = certificate
        self.key = key
    }

    /// Reads `ca.crt`, `NAME.crt` and `NAME.key` of a folder.
    package static func read(folder: String, name: String) throws -> CredentialTexts {
        CredentialTexts(
            authority: try authority(folder: folder), certificate: try file(folder, name + ".crt"),
            key: try file(folder, name + ".key"))
    }

    /// Reads `ca.crt` of a folder.
    package static func authority(folder: String) throws -> [UInt8] { try file(folder, "ca.crt") }

    private static func file(_ folder: String, _ name: String) throws -> [UInt8] {
        let path = folder + "/" + name
        guard let bytes = FileManager.default.contents(atPath: path) else {
            throw CredentialProblem(description: "\(path): cannot be read")
        }
        guard bytes.count <= 256 << 10 else { throw CredentialProblem(description: "\(path): too long") }
        return Array(bytes)
    }
}

/// What is wrong with certificates of ours.
package struct CredentialProblem: Error, CustomStringConvertible, Sendable {
    package let description: String

    package init(description: String) { self.description = description }
}

/// Who we are on TLS connections, and whom we let in. Certificates may change while connections are made: those that are open
/// go on, new ones use what is newest.
package final class TLSCredentials: Sendable {
    private struct State {
        var texts: CredentialTexts
        var server: NIOSSLContext
        var client: NIOSSLContext
        var web: NIOSSLContext
        var tokens: NIOSSLContext
        var identity: CertifiedPeer
    }
    private let state: Mutex<State>
    /// Roles that may be at the other end.
    private let roles: Set<PeerRole>

    /// - Parameter roles: whom to let in; others are closed after the handshake.
    package init(_ texts: CredentialTexts, accepting roles: Set<PeerRole>) throws {
        state = Mutex(try Self.make(texts))
        self.roles = roles
    }

    /// Takes other certificates from now on. What cannot be used changes nothing.
    ///
    /// - Returns: whether they are other ones.
    @discardableResult
    package func reload(_ texts: CredentialTexts) throws -> Bool {
        if state.withLock({ $0.texts == texts }) { return false }
        let fresh = try Self.make(texts)
        state.withLock { $0 = fresh }
        return true
    }

    /// Our own name.
    package var identity: PeerIdentity { state.withLock { $0.identity.identity } }

    /// When our certificate ends.
    package var notAfter: Date { state.withLock { $0.identity.notAfter } }

    /// For connections that others make.
    var context: NIOSSLContext { state.withLock { $0.server } }

    /// For connections that we make.
    var clientContext: NIOSSLContext { state.withLock { $0.client } }

    /// For connections of browsers, which need not have a certificate; one that they show must be the authority's.
    var webContext: NIOSSLContext { state.withLock { $0.web } }

    /// For connections whose requests show tokens: no certificate is asked for.
    var tokenContext: NIOSSLContext { state.withLock { $0.tokens } }

    /// Whether such a peer may be there at all: our trust domain, and a role that is expected, everywhere or at this place.
    func accepts(_ peer: PeerIdentity, besides more: Set<PeerRole> = []) -> Bool {
        (roles.contains(peer.role) || more.contains(peer.role)) && peer.trustDomain == identity.trustDomain
    }

    private static func make(_ texts: CredentialTexts) throws -> State {
        let (chain, roots): ([NIOSSLCertificate], [NIOSSLCertificate])
        let key: NIOSSLPrivateKey
        do {
            chain = try NIOSSLCertificate.fromPEMBytes(texts.certificate)
            roots = try NIOSSLCertificate.fromPEMBytes(texts.authority)
            key = try NIOSSLPrivateKey(bytes: texts.key, format: .pem)
        } catch {
            throw CredentialProblem(description: "not PEM certificates and key: \(error)")
        }
        guard let leaf = chain.first, !roots.isEmpty else {
            throw CredentialProblem(description: "no certificate, or none of the authority")
        }
        let identity = try CertificateReading.peer(der: leaf.toDERBytes())
        guard identity.notAfter > Date() else {
            throw CredentialProblem(description: "the certificate of \(identity.identity) has ended")
        }
        var server = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        var client = TLSConfiguration.makeClientConfiguration()
        client.certificateChain = chain.map { .certificate($0) }
        client.privateKey = .privateKey(key)
        server.restrict(to: roots)
        client.restrict(to: roots)
        var web = server
        web.certificateVerification = .optionalVerification
        web.applicationProtocols = ["http/1.1"]
        var tokens = server
        tokens.certificateVerification = .none
        do {
            return State(
                texts: texts, server: try NIOSSLContext(configuration: server),
                client: try NIOSSLContext(configuration: client), web: try NIOSSLContext(configuration: web),
                tokens: try NIOSSLContext(configuration: tokens), identity: identity)
        } catch {
            throw CredentialProblem(
                description: "the certificate of \(identity.identity) and the key do not fit: \(error)")
        }
    }
}

extension TLSConfiguration {
    /// Trusts an authority, and nothing else.
    mutating func restrict(to roots: [NIOSSLCertificate]) {
        // Nothing older, and nothing to agree on: who speaks less is not one of us.
        minimumTLSVersion = .tlsv13
        trustRoots = .certificates(roots)
        // Names are ours (`PeerIdentity`); the chain and the dates are verified all the same.
        certificateVerification = .noHostnameVerification
        applicationProtocols = ["h2"]
    }
}

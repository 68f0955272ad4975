import NIOSSL

/// How a connection of ours shows who we are.
package enum ClientIdentity: Sendable {
    /// By a certificate, of whose trust domain the other side has to be.
    case certificate(TLSCredentials)
    /// Not by the connection: every call shows a token. Nothing of ours tells the trust domain, so the authority's word is enough.
    case token(TrustedAuthority)

    var context: NIOSSLContext {
        switch self {
        case .certificate(let credentials): credentials.clientContext
        case .token(let authority): authority.context
        }
    }

    /// Whether a peer of that trust domain may be there.
    func accepts(trustDomain: String) -> Bool {
        switch self {
        case .certificate(let credentials): trustDomain == credentials.identity.trustDomain
        case .token: true
        }
    }
}

/// The authority that vouches for whom we connect to, without a certificate of our own.
package struct TrustedAuthority: Sendable {
    let context: NIOSSLContext

    /// - Parameter pem: its certificates.
    package init(pem: [UInt8]) throws {
        do {
            let roots = try NIOSSLCertificate.fromPEMBytes(pem)
            guard !roots.isEmpty else { throw CredentialProblem(description: "no certificate of the authority") }
            var client = TLSConfiguration.makeClientConfiguration()
            client.restrict(to: roots)
            context = try NIOSSLContext(configuration: client)
        } catch let problem as CredentialProblem {
            throw problem
        } catch {
            throw CredentialProblem(description: "not PEM certificates of an authority: \(error)")
        }
    }
}

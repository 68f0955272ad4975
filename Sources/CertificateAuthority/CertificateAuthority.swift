import Crypto
import Foundation
import RPCTransport
import SwiftASN1
import X509

/// A private authority for the certificates of agents, relays and people: one folder, one key.
package struct CertificateAuthority {
    /// What a certificate is asked for.
    package struct Request: Sendable, Hashable {
        /// Role and name.
        package var identity: PeerIdentity
        /// Further names, for clients that compare host names.
        package var dnsNames: [String]
        /// Further addresses, four or sixteen bytes each.
        package var addresses: [[UInt8]]
        /// Seconds it is to hold.
        package var lifetime: TimeInterval

        /// Creates a request.
        package init(
            identity: PeerIdentity, dnsNames: [String] = [], addresses: [[UInt8]] = [],
            lifetime: TimeInterval = Self.day
        ) {
            self.identity = identity
            self.dnsNames = dnsNames
            self.addresses = addresses
            self.lifetime = lifetime
        }

        /// What a certificate holds unless told otherwise: short enough that nothing has to be revoked.
        package static let day: TimeInterval = 24 * 3600
    }

    /// A certificate and its key, as PEM.
    package struct Issued: Sendable {
        /// The certificate.
        package let certificate: String
        /// The private key, PKCS #8.
        package let key: String
        /// When it ends.
        package let notAfter: Date
    }

    private let certificate: Certificate
    private let key: Certificate.PrivateKey
    /// Whose names it gives.
    package let trustDomain: String
    /// Clocks of different machines may differ by this much.
    private static let skew: TimeInterval = 300
    private static let domainPrefix = "Portcullis authority of "

    /// Makes an authority.
    package static func make(
        trustDomain: String, lifetime: TimeInterval, now: Date = Date()
    ) throws -> (authority: CertificateAuthority, issued: Issued) {
        guard PeerIdentity.isName(trustDomain) else {
            throw CredentialProblem(description: "'\(trustDomain)' is no name for a trust domain")
        }
        let signing = P256.Signing.PrivateKey()
        let key = Certificate.PrivateKey(signing)
        let subject = try DistinguishedName { CommonName(domainPrefix + trustDomain) }
        let end = now.addingTimeInterval(lifetime)
        let certificate = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: key.publicKey,
            notValidBefore: now.addingTimeInterval(-skew), notValidAfter: end, issuer: subject, subject: subject,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                SubjectKeyIdentifier(
                    keyIdentifier: ArraySlice(Insecure.SHA1.hash(data: signing.publicKey.derRepresentation)))
            }, issuerPrivateKey: key)
        let issued = Issued(
            certificate: try certificate.serializeAsPEM().pemString, key: try key.serializeAsPEM().pemString,
            notAfter: end)
        return (CertificateAuthority(certificate: certificate, key: key, trustDomain: trustDomain), issued)
    }

    /// Takes up an authority from its PEM texts; of several certificates the first is its own.
    package init(certificate: String, key: String) throws {
        guard let first = try PEMDocument.parseMultiple(pemString: certificate).first else {
            throw CredentialProblem(description: "no certificate of the authority")
        }
        self.certificate = try Certificate(pemDocument: first)
        self.key = try Certificate.PrivateKey(pemEncoded: key)
        guard self.key.publicKey == self.certificate.publicKey else {
            throw CredentialProblem(description: "the authority's certificate and key do not fit")
        }
        let name = self.certificate.subject.flatMap { Array($0) }.first.map { String(describing: $0.value) } ?? ""
        guard name.hasPrefix(Self.domainPrefix) else {
            throw CredentialProblem(description: "not an authority that 'portcullis certs init' made")
        }
        trustDomain = String(name.dropFirst(Self.domainPrefix.count))
    }

    private init(certificate: Certificate, key: Certificate.PrivateKey, trustDomain: String) {
        self.certificate = certificate
        self.key = key
        self.trustDomain = trustDomain
    }

    /// When the authority's own certificate ends.
    package var notAfter: Date { certificate.notValidAfter }

    /// Issues a certificate with a new key.
    package func issue(_ request: Request, now: Date = Date()) throws -> Issued {
        guard request.identity.trustDomain == trustDomain else {
            throw CredentialProblem(description: "\(request.identity) is not of trust domain \(trustDomain)")
        }
        let signing = P256.Signing.PrivateKey()
        // No certificate outlives the one that it is verified by.
        let end = min(now.addingTimeInterval(request.lifetime), certificate.notValidAfter)
        guard end > now else { throw CredentialProblem(description: "the authority's certificate has ended") }
        let names: [GeneralName] =
            [.uniformResourceIdentifier(request.identity.description)] + request.dnsNames.map { .dnsName($0) }
            + request.addresses.map { .ipAddress(ASN1OctetString(contentBytes: ArraySlice($0))) }
        let leaf = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: Certificate.PublicKey(signing.publicKey),
            notValidBefore: now.addingTimeInterval(-Self.skew), notValidAfter: end, issuer: certificate.subject,
            subject: try DistinguishedName { CommonName(String(request.identity.name.prefix(64))) },
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage([.serverAuth, .clientAuth])
                SubjectAlternativeNames(names)
                AuthorityKeyIdentifier(
                    keyIdentifier: try certificate.extensions.subjectKeyIdentifier?.keyIdentifier)
            }, issuerPrivateKey: key)
        return Issued(
            certificate: try leaf.serializeAsPEM().pemString, key: signing.pemRepresentation, notAfter: end)
    }

    /// What a certificate was asked for: to issue the same again.
    package static func request(of pem: String) throws -> Request {
        let leaf = try Certificate(pemEncoded: pem)
        var (uris, dnsNames, addresses): ([String], [String], [[UInt8]]) = ([], [], [])
        for name in try leaf.extensions.subjectAlternativeNames ?? SubjectAlternativeNames([]) {
            switch name {
            case .uniformResourceIdentifier(let uri): uris.append(uri)
            case .dnsName(let dns): dnsNames.append(dns)
            case .ipAddress(let address): addresses.append(Array(address.bytes))
            default: break
            }
        }
        guard uris.count == 1, let identity = uris.first.flatMap(PeerIdentity.init(uri:)) else {
            throw CredentialProblem(description: "not a certificate of ours")
        }
        let lifetime = leaf.notValidAfter.timeIntervalSince(leaf.notValidBefore) - skew
        return Request(identity: identity, dnsNames: dnsNames, addresses: addresses, lifetime: lifetime)
    }
}

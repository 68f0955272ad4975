import Crypto
import Foundation
import X509

/// What a certificate says.
package enum CertificateReading {
    /// The peer that a certificate is of. It has exactly one URI, and that is one of ours; what else it is called (a common
    /// name, DNS names) counts for nothing.
    package static func peer(der: [UInt8]) throws -> CertifiedPeer {
        let certificate = try Certificate(derEncoded: der)
        let uris = try uris(of: certificate)
        guard uris.count == 1, let uri = uris.first else {
            throw PeerProblem(description: "the certificate has \(uris.count) URIs instead of one")
        }
        guard let identity = PeerIdentity(uri: uri) else {
            throw PeerProblem(description: "the certificate's URI names no role")
        }
        return CertifiedPeer(identity: identity, fingerprint: fingerprint(der), notAfter: certificate.notValidAfter)
    }

    /// SHA-256 in hexadecimal.
    package static func fingerprint(_ der: [UInt8]) -> String {
        SHA256.hash(data: der).map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }.joined()
    }

    private static func uris(of certificate: Certificate) throws -> [String] {
        guard let names = try certificate.extensions.subjectAlternativeNames else { return [] }
        return names.compactMap {
            if case .uniformResourceIdentifier(let uri) = $0 { return uri }
            return nil
        }
    }
}

import Foundation
import JWTKit

/// The public keys of a JSON Web Key Set (RFC 7517) that tokens may be signed with.
struct KeySet: Sendable {
    /// A key, and the one algorithm that it is used with.
    struct Key: Sendable {
        let algorithm: String
        /// Holds this key alone: jwt-kit takes any key for a token whose `kid` it does not know.
        let verifier: JWTKeyCollection
    }

    /// By `kid`.
    let keys: [String: Key]
    /// Keys in the set that are of no use here.
    let ignored: Int

    /// Longest set.
    static let limit = 1 << 20
    private static let keyLimit = 100
    private static let smallestModulus = 2048 / 8

    /// Reads a set; keys that cannot be used (for encryption, symmetric, without a `kid`, of an unknown kind) are left out.
    ///
    /// - Throws: when nothing is left.
    static func parse(_ data: Data) async throws(TokenProblem) -> KeySet {
        guard data.count <= limit else { throw TokenProblem("the key set is longer than \(limit) bytes") }
        let entries: [Entry]
        do { entries = try JSONDecoder().decode(Document.self, from: data).keys } catch {
            throw TokenProblem("not a JSON Web Key Set")
        }
        guard entries.count <= keyLimit else { throw TokenProblem("the key set has more than \(keyLimit) keys") }
        var keys: [String: Key] = [:]
        for entry in entries {
            guard let jwk = entry.key, let kid = jwk.keyIdentifier?.string, !kid.isEmpty else { continue }
            guard keys[kid] == nil else { throw TokenProblem("two keys of the key set have one kid") }
            guard let algorithm = algorithm(of: jwk) else { continue }
            var fixed = jwk
            fixed.algorithm = algorithm
            // A key set has no business with private parts.
            (fixed.privateExponent, fixed.prime1, fixed.prime2) = (nil, nil, nil)
            let verifier = JWTKeyCollection()
            do { try await verifier.add(jwk: fixed) } catch { continue }
            keys[kid] = Key(algorithm: algorithm.rawValue, verifier: verifier)
        }
        guard !keys.isEmpty else { throw TokenProblem("the key set has no key that tokens could be signed with") }
        return KeySet(keys: keys, ignored: entries.count - keys.count)
    }

    /// The algorithm a key is used with: what the set says, if that fits the key; otherwise the usual one of its kind.
    private static func algorithm(of jwk: JWK) -> JWK.Algorithm? {
        let possible: [JWK.Algorithm]
        switch (jwk.keyType, jwk.curve?.rawValue) {
        case (.rsa, _):
            guard let modulus = jwk.modulus.flatMap(Base64URL.decode), modulus.count >= smallestModulus else {
                return nil
            }
            possible = [.rs256, .rs384, .rs512, .ps256, .ps384, .ps512]
        case (.ecdsa, "P-256"): possible = [.es256]
        case (.ecdsa, "P-384"): possible = [.es384]
        case (.ecdsa, "P-521"): possible = [.es512]
        case (.octetKeyPair, "Ed25519"): possible = [.eddsa]
        default: return nil
        }
        guard let named = jwk.algorithm else { return possible.first }
        return possible.contains(named) ? named : nil
    }

    private struct Document: Decodable { var keys: [Entry] }

    /// One entry of a set; `nil` for one that cannot be read.
    private struct Entry: Decodable {
        var key: JWK?

        private enum Field: String, CodingKey { case use, operations = "key_ops" }

        init(from decoder: any Decoder) throws {
            let fields = try decoder.container(keyedBy: Field.self)
            if let use = try? fields.decode(String.self, forKey: .use), use != "sig" { return }
            if let operations = try? fields.decode([String].self, forKey: .operations), !operations.contains("verify") {
                return
            }
            key = try? JWK(from: decoder)
        }
    }
}

/// RFC 4648, section 5, without padding.
enum Base64URL {
    /// The bytes; `nil` for what is not that encoding.
    static func decode(_ text: some StringProtocol) -> Data? {
        guard text.utf8.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "=") })
        else { return nil }
        var plain = String(text.map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 })
        plain += String(repeating: "=", count: (4 - plain.utf8.count % 4) % 4)
        return Data(base64Encoded: plain)
    }
}

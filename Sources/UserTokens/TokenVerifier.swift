import Foundation
import JWTKit
import RPCTransport

/// Says whose an OpenID Connect token is: an ID or access token that is a JSON Web Token, of one issuer and for one audience.
package struct TokenVerifier: BearerVerifier {
    private let settings: TokenSettings
    private let keys: KeyStore
    private let now: @Sendable () -> Date

    /// Longest token: a few hundred groups.
    static let limit = 16 << 10
    /// By how much the issuer's clock may be ahead.
    private static let skew: TimeInterval = 60

    /// - Parameter now: the time, for tests.
    package init(_ settings: TokenSettings, keys: KeyStore, now: @escaping @Sendable () -> Date = { Date() }) {
        (self.settings, self.keys, self.now) = (settings, keys, now)
    }

    package func user(of token: String) async throws -> TokenUser {
        guard token.utf8.count <= Self.limit else { throw TokenProblem("the token is longer than \(Self.limit) bytes") }
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let bytes = Base64URL.decode(parts[0]),
            let header = try? JSONDecoder().decode(Header.self, from: bytes)
        else { throw TokenProblem("not a JSON Web Token") }
        // The only algorithms there are; `none`, and those whose secret anybody could have, are not.
        guard Self.algorithms.contains(header.alg) else { throw TokenProblem("the token's algorithm is not permitted") }
        guard header.critical == nil else { throw TokenProblem("the token has extensions that are not known") }
        guard let key = await keys.key(header.kid) else {
            throw TokenProblem("the token is signed with a key that is not in the key set")
        }
        // The key says with which algorithm it is used, not the token.
        guard key.algorithm == header.alg else { throw TokenProblem("the token's algorithm is not its key's") }
        let claims: Claims
        do { claims = try await key.verifier.verify(token, as: Claims.self) } catch let problem as JWTError {
            throw TokenProblem(
                problem.errorType == .signatureVerificationFailed
                    ? "the token's signature is not right" : "the token cannot be read")
        } catch { throw TokenProblem("the token's signature is not right") }
        return try user(claims)
    }

    private static let algorithms: Set<String> = [
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
    ]

    private func user(_ claims: Claims) throws(TokenProblem) -> TokenUser {
        guard claims["iss"]?.text == settings.issuer else { throw TokenProblem("the token is of another issuer") }
        guard claims["aud"]?.texts.contains(settings.audience) == true else {
            throw TokenProblem("the token is for another audience")
        }
        let time = now().timeIntervalSince1970
        guard let end = claims["exp"]?.number else { throw TokenProblem("the token has no end") }
        guard end > time else { throw TokenProblem("the token has expired") }
        for name in ["nbf", "iat"] {
            guard let claim = claims[name] else { continue }
            guard let start = claim.number, start <= time + Self.skew else {
                throw TokenProblem("the token is not valid yet")
            }
        }
        guard let subject = claims["sub"]?.text, Self.isSubject(subject) else {
            throw TokenProblem("the token says of nobody whose it is")
        }
        let values = Set(claims[settings.roleClaim]?.texts ?? [])
        let role = TokenSettings.possibleRoles.first { !values.isDisjoint(with: settings.roles[$0] ?? []) }
        guard let role else { throw TokenProblem("oidc:\(subject) has no role here") }
        return TokenUser(role: role, name: "oidc:\(subject)", end: Date(timeIntervalSince1970: min(end, 1e12)))
    }

    /// At most 255 letters of ASCII (OpenID Connect Core, section 2), all of them visible: it goes into logs.
    private static func isSubject(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 255 && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
    }

    private struct Header: Decodable {
        var alg: String
        var kid: String?
        var critical: [String]?

        private enum CodingKeys: String, CodingKey { case alg, kid, critical = "crit" }
    }
}

/// What a token claims.
private struct Claims: JWTPayload {
    private let values: [String: Claim]

    subscript(name: String) -> Claim? { values[name] }

    // Looked at by `TokenVerifier`, once the signature is right.
    func verify(using algorithm: some JWTAlgorithm) async throws {}

    init(from decoder: any Decoder) throws { values = try [String: Claim](from: decoder) }

    func encode(to encoder: any Encoder) throws { try values.encode(to: encoder) }
}

/// A claim's value, as far as anything is made of it.
private enum Claim: Codable {
    case one(String)
    case many([String])
    case amount(Double)
    case other

    var text: String? { if case .one(let text) = self { text } else { nil } }
    var number: Double? { if case .amount(let number) = self, number.isFinite { number } else { nil } }
    /// A text, or the texts of a list.
    var texts: [String] {
        switch self {
        case .one(let text): [text]
        case .many(let texts): texts
        case .amount, .other: []
        }
    }

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if let text = try? value.decode(String.self) {
            self = .one(text)
        } else if let texts = try? value.decode([String].self) {
            self = .many(texts)
        } else if let number = try? value.decode(Double.self) {
            self = .amount(number)
        } else {
            self = .other
        }
    }

    func encode(to encoder: any Encoder) throws {
        var value = encoder.singleValueContainer()
        switch self {
        case .one(let text): try value.encode(text)
        case .many(let texts): try value.encode(texts)
        case .amount(let number): try value.encode(number)
        case .other: try value.encodeNil()
        }
    }
}

import Foundation
import GRPCCore

/// Somebody who showed a token.
package struct TokenUser: Sendable, Hashable {
    /// What it may do.
    package var role: PeerRole
    /// `oidc:` and the subject.
    package var name: String
    /// When the token ends, and with it what was begun by it.
    package var end: Date

    /// Creates a user.
    package init(role: PeerRole, name: String, end: Date) {
        self.role = role
        self.name = name
        self.end = end
    }
}

/// Says whose a token is.
package protocol BearerVerifier: Sendable {
    /// Whose it is.
    ///
    /// - Throws: why it is nobody's, in words that say nothing of the token.
    func user(of token: String) async throws -> TokenUser
}

/// `Authorization: Bearer …` (RFC 6750).
package enum BearerToken {
    /// The token of a field's value; `nil` for anything else.
    package static func token(_ field: String) -> String? {
        let words = field.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        guard words.count == 2, words[0].lowercased() == "bearer", !words[1].isEmpty else { return nil }
        return String(words[1])
    }

    /// Whether a text can be a token: what RFC 6750 lets stand in the field, and nothing else.
    package static func isToken(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "-._~+/=".utf8.contains(byte)
                }
            }
    }
}

/// Shows a token with every call.
package struct BearerAuthorization: ClientInterceptor {
    private let field: String

    /// Shows this one.
    package init(token: String) { field = "Bearer \(token)" }

    package func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingClientRequest<Input>, context: ClientContext,
        next: (StreamingClientRequest<Input>, ClientContext) async throws -> StreamingClientResponse<Output>
    ) async throws -> StreamingClientResponse<Output> {
        var request = request
        request.metadata.addString(field, forKey: "authorization")
        return try await next(request, context)
    }
}

/// Why there is no token.
struct RefusedToken: Error, CustomStringConvertible { let description: String }

import Foundation
import Testing
import UserTokens

@testable import RelayService

/// Keys and tokens made by openssl.
struct TestTokens: Sendable {
    static let issuer = "https://login.test.example"
    static let audience = "portcullis"
    static let package = URL(fileURLWithPath: #filePath).pathComponents.prefix { $0 != "Tests" }.joined(separator: "/")

    let folder: String

    /// Makes the keys, and the set of them.
    init(_ folder: String, keys: String...) async throws {
        self.folder = folder
        try await set(keys)
    }

    var file: String { folder + "/keys.json" }

    /// Replaces the set: `KID`, `rsa` or `ec`, and so on.
    func set(_ keys: [String]) async throws {
        _ = try await WebClient.run([Self.package + "/integration/tokens/make", folder, "keys"] + keys)
        try #require(FileManager.default.fileExists(atPath: file))
    }

    /// What a token is to be; claims and fields that are given replace those of a good one, `NSNull` takes one out.
    struct Wanted {
        var kid = "a"
        var algorithm = "RS256"
        var claims: [String: Any] = [:]
        var header: [String: Any] = [:]
    }

    /// Makes tokens, all in one go.
    func make(_ wanted: [Wanted]) async throws -> [String] {
        let now = Int(Date().timeIntervalSince1970)
        let all: [[Any]] = wanted.map { wanted in
            var claims: [String: Any] = [
                "iss": Self.issuer, "aud": Self.audience, "sub": "ann", "exp": now + 3600, "iat": now,
                "groups": ["looks"],
            ]
            for (name, value) in wanted.claims { claims[name] = value is NSNull ? nil : value }
            return [wanted.kid, wanted.algorithm, claims, wanted.header]
        }
        let text = String(decoding: try JSONSerialization.data(withJSONObject: all), as: UTF8.self)
        let output = try await WebClient.run([Self.package + "/integration/tokens/make", folder, "tokens", text])
        let tokens = output.split(separator: "\n").map(String.init)
        try #require(tokens.count == wanted.count, "\(output)")
        return tokens
    }

    /// One.
    func token(_ kid: String = "a", _ algorithm: String = "RS256", _ claims: [String: Any] = [:]) async throws -> String
    {
        try await make([Wanted(kid: kid, algorithm: algorithm, claims: claims)])[0]
    }

    /// Takes these tokens, from a file or from elsewhere.
    func settings(keys: String? = nil) -> TokenSettings {
        var settings = TokenSettings()
        (settings.issuer, settings.audience, settings.keys) = (Self.issuer, Self.audience, keys ?? file)
        settings.roles = [.cli: ["looks", "team/looks"], .controller: ["changes"]]
        return settings
    }
}

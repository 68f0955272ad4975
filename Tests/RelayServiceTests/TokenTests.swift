import Foundation
import NIOPosix
import RPCTransport
import Synchronization
import Testing
import UserTokens

@testable import RelayService

/// Whose tokens count. They are made by openssl; what checks them has no part in it.
@Suite(.serialized, .timeLimit(.minutes(10))) struct TokenTests {
    private final class Folder: Sendable {
        let path = "/tmp/portcullis-tokens-\(UUID().uuidString.prefix(8))"
        init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
        deinit { try? FileManager.default.removeItem(atPath: path) }
    }

    private func store(_ settings: TokenSettings, shortest: Duration = .zero) throws -> KeyStore {
        try KeyStore(settings, group: .singletonMultiThreadedEventLoopGroup, shortest: shortest) { _ in }
    }

    /// Why a token is refused; `nil` for one that is taken.
    private func problem(_ verifier: TokenVerifier, _ token: String) async -> String? {
        do {
            _ = try await verifier.user(of: token)
            return nil
        } catch { return "\(error)" }
    }

    @Test func goodTokensCountForWhatTheySay() async throws {
        let folder = try Folder()
        let tokens = try await TestTokens(folder.path, keys: "a", "rsa", "b", "ec")
        let verifier = TokenVerifier(tokens.settings(), keys: try store(tokens.settings()))
        let ann = try await verifier.user(of: try await tokens.token())
        #expect(ann.name == "oidc:ann" && ann.role == .cli)
        #expect(abs(ann.end.timeIntervalSinceNow - 3600) < 300)
        let bob = try await verifier.user(
            of: try await tokens.token("b", "ES256", ["sub": "bob", "aud": ["x", "portcullis"], "groups": "changes"]))
        #expect(bob.name == "oidc:bob" && bob.role == .controller)
        // Whoever has several has the one that may do more.
        let both = try await tokens.token("a", "RS256", ["groups": ["looks", "changes"]])
        #expect(try await verifier.user(of: both).role == .controller)
    }

    @Test func everythingElseIsRefused() async throws {
        let folder = try Folder()
        let tokens = try await TestTokens(folder.path, keys: "a", "rsa", "b", "ec")
        let verifier = TokenVerifier(tokens.settings(), keys: try store(tokens.settings()))
        let other = try await TestTokens(folder.path + "/other", keys: "a", "rsa", "z", "rsa")
        let now = Int(Date().timeIntervalSince1970)
        let (algorithm, signature) = ("the token's algorithm is not permitted", "the token's signature is not right")
        let unknown = "the token is signed with a key that is not in the key set"
        typealias Wanted = TestTokens.Wanted
        let made: [(String, Wanted, String)] = [
            ("expired", Wanted(claims: ["exp": now - 1]), "the token has expired"),
            ("without an end", Wanted(claims: ["exp": NSNull()]), "the token has no end"),
            ("an end in words", Wanted(claims: ["exp": "never"]), "the token has no end"),
            ("too early", Wanted(claims: ["nbf": now + 6000]), "the token is not valid yet"),
            ("issued later", Wanted(claims: ["iat": now + 6000]), "the token is not valid yet"),
            ("other audience", Wanted(claims: ["aud": ["portcullis2", "x"]]), "the token is for another audience"),
            ("no audience", Wanted(claims: ["aud": NSNull()]), "the token is for another audience"),
            ("other issuer", Wanted(claims: ["iss": TestTokens.issuer + "/"]), "the token is of another issuer"),
            ("no kid", Wanted(header: ["kid": NSNull()]), unknown),
            ("a kid that is for encryption", Wanted(header: ["kid": "encryption"]), unknown),
            ("none", Wanted(algorithm: "none"), algorithm),
            ("None", Wanted(algorithm: "none", header: ["alg": "None"]), algorithm),
            ("the public key as a secret", Wanted(algorithm: "HS256"), algorithm),
            ("that, called RS256", Wanted(algorithm: "HS256", header: ["alg": "RS256"]), signature),
            ("another algorithm", Wanted(header: ["alg": "PS256"]), "the token's algorithm is not its key's"),
            ("another key", Wanted(header: ["kid": "b"]), "the token's algorithm is not its key's"),
            ("extensions", Wanted(header: ["crit": ["b64"]]), "the token has extensions that are not known"),
            ("no role", Wanted(claims: ["groups": ["looks2", "LOOKS"]]), "oidc:ann has no role here"),
            ("no claim", Wanted(claims: ["groups": NSNull()]), "oidc:ann has no role here"),
            ("nobody", Wanted(claims: ["sub": NSNull()]), "the token says of nobody whose it is"),
            ("two lines", Wanted(claims: ["sub": "a\nb"]), "the token says of nobody whose it is"),
        ]
        let texts = try await tokens.make([Wanted(), Wanted(claims: ["groups": ["changes"]])] + made.map(\.1))
        let good = texts[0]
        let (parts, changed) = (good.split(separator: "."), texts[1].split(separator: ".")[1])
        let strange = try await other.make([Wanted(), Wanted(kid: "z")])
        var cases = zip(made, texts.dropFirst(2)).map { ($0.0, $1, $0.2) }
        cases += [
            ("wrong key", strange[0], signature),
            ("unknown kid", strange[1], unknown),
            ("changed", "\(parts[0]).\(changed).\(parts[2])", signature),
            ("no signature", "\(parts[0]).\(parts[1]).", signature),
            ("nothing", "", "not a JSON Web Token"),
            ("four parts", good + ".x", "not a JSON Web Token"),
            ("long", String(repeating: "a", count: 20_000), "the token is longer than 16384 bytes"),
        ]
        for (name, token, expected) in cases { #expect(await problem(verifier, token) == expected, "\(name)") }
        #expect(await problem(verifier, good) == nil)
        // Later the same token is one that has expired.
        let later = TokenVerifier(
            tokens.settings(), keys: try store(tokens.settings()), now: { Date().addingTimeInterval(7200) })
        #expect(await problem(later, good) == "the token has expired")
    }

    @Test func keysOfAFileRotate() async throws {
        let folder = try Folder()
        let tokens = try await TestTokens(folder.path, keys: "a", "rsa")
        let keys = try store(tokens.settings())
        let verifier = TokenVerifier(tokens.settings(), keys: keys)
        let (old, unknown) = (try await tokens.token(), "the token is signed with a key that is not in the key set")
        #expect(await problem(verifier, old) == nil)
        try await tokens.set(["c", "rsa"])
        let new = try await tokens.token("c")
        // A key that is not known yet is looked for at once.
        #expect(await problem(verifier, new) == nil)
        #expect(await problem(verifier, old) == unknown)
        // What is no key set changes nothing.
        for text in ["", "{}", #"{"keys":[]}"#, #"{"keys":[{"kty":"oct","kid":"c","k":"AAAA"}]}"#] {
            try text.write(toFile: tokens.file, atomically: true, encoding: .utf8)
            await keys.refresh()
            #expect(await problem(verifier, new) == nil)
        }
        try String(repeating: " ", count: 2 << 20).write(toFile: tokens.file, atomically: true, encoding: .utf8)
        await keys.refresh()
        #expect(await problem(verifier, new) == nil)
    }

    @Test func keysOfAServerAreKeptWhenItFails() async throws {
        let folder = try TestFolder()
        _ = try folder.texts(.cli, "keys")
        let tokens = try await TestTokens(folder.path + "/tokens", keys: "a", "rsa")
        func answer(_ text: String) throws {
            try text.write(toFile: tokens.folder + "/answer", atomically: true, encoding: .utf8)
        }
        try answer("200 \(tokens.file)")
        let certificate = folder.authority.path + "/cli-keys"
        let server = try WebStream([
            TestTokens.package + "/integration/tokens/serve", tokens.folder, certificate + ".crt", certificate + ".key",
        ])
        let end = ContinuousClock.now + .seconds(60)
        while !server.text.hasSuffix("\n"), ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(20)) }
        let url = "https://localhost:\(server.text.trimmingCharacters(in: .newlines))/keys"
        var settings = tokens.settings(keys: url)
        settings.keysAuthority = folder.authority.path + "/ca.crt"
        let lines = Mutex<[String]>([])
        let keys = try KeyStore(settings, group: .singletonMultiThreadedEventLoopGroup, shortest: .seconds(3600)) {
            line in
            lines.withLock { $0.append(line) }
        }
        let running = Task { await keys.run() }
        let verifier = TokenVerifier(settings, keys: keys)
        let first = try await tokens.token()
        #expect(await problem(verifier, first) == nil)
        try await tokens.set(["c", "rsa"])
        let second = try await tokens.token("c")
        // Made-up keys do not have the server asked again and again.
        let asked = try String(contentsOfFile: tokens.folder + "/asked", encoding: .utf8)
        for _ in 0..<5 { #expect(await problem(verifier, second)?.contains("not in the key set") == true) }
        #expect(try String(contentsOfFile: tokens.folder + "/asked", encoding: .utf8) == asked)
        await keys.refresh()
        #expect(await problem(verifier, second) == nil)
        #expect(await problem(verifier, first)?.contains("not in the key set") == true)
        let big = tokens.folder + "/big"
        try String(repeating: " ", count: 2 << 20).write(toFile: big, atomically: true, encoding: .utf8)
        for text in ["500 \(tokens.file)", "200 \(big)", "302 \(url)", "200 \(certificate).crt"] {
            try answer(text)
            await keys.refresh()
            #expect(await problem(verifier, second) == nil, "\(text)")
        }
        let told = lines.withLock { $0 }
        for word in ["status 500", "status 302", "not a JSON Web Key Set", "cannot be had", "stay as they are"] {
            #expect(told.contains { $0.contains(word) }, "\(word): \(told)")
        }
        running.cancel()
        await running.value

        // A server of another authority is none.
        try answer("200 \(tokens.file)")
        let stranger = try TestFolder()
        settings.keysAuthority = stranger.authority.path + "/ca.crt"
        let fooled = try KeyStore(settings, group: .singletonMultiThreadedEventLoopGroup) { _ in }
        let closing = Task { await fooled.run() }
        #expect(await problem(TokenVerifier(settings, keys: fooled), second)?.contains("not in the key set") == true)
        closing.cancel()
        await closing.value
    }

    @Test func theConfigurationIsChecked() throws {
        func parse(_ text: String) throws -> TokenConfiguration? { try RelayConfiguration.parse(text, "f").oidc }
        let good = """
            oidc:
              listen: ["127.0.0.1:1"]
              issuer: https://i
              audience: a
              keys: /k
              roleClaim: roles
              roles: {cli: [dev], controller: [ops, sre]}
            """
        let read = try #require(try parse(good))
        #expect(
            read.settings.roles == [.cli: ["dev"], .controller: ["ops", "sre"]] && read.settings.roleClaim == "roles")
        for (from, to, message) in [
            ("  issuer: https://i\n", "", "issuer is needed"),
            ("keys: /k", "keys: http://i/k", "keys must be an absolute path or an https:// URL"),
            ("cli: [dev]", "agent: [dev]", "'agent' is not a role of users: cli (looks), controller (changes)"),
            ("{cli: [dev], controller: [ops, sre]}", "{}", "roles is needed: nobody has a role otherwise"),
            ("roleClaim", "roleclaim", "unknown key 'roleclaim'"),
        ] {
            let error = #expect(throws: RelayConfigurationError.self) {
                try parse(good.replacingOccurrences(of: from, with: to))
            }
            #expect(error?.description.hasSuffix(message) == true && error?.description.hasPrefix("f:") == true)
        }
    }
}

import Foundation
import PolicyModel
import Testing

@testable import PolicyLoading

/// What a file may cost: nothing in it exhausts memory, stack or time.
@Suite("Limits of a policy file")
struct LimitsTests {
    private static let host = """
        apiVersion: security.kubearmor.com/v1
        kind: KubeArmorHostPolicy
        metadata: {name: p}
        spec:
          nodeSelector: {matchLabels: {a: b}}

        """

    private static func load(_ text: String, limits: LoadingLimits = LoadingLimits()) -> LoadResult {
        PolicyDocumentLoader(limits: limits).load(bytes: Array(text.utf8), file: "f")
    }

    private static func first(_ text: String) -> String { load(text).diagnostics.first?.description ?? "" }

    /// Blocks of indentation, each a level deeper, up to the size of a file.
    private static func stairs(_ step: String) -> String {
        var text = ""
        var level = 0
        while text.utf8.count < 900_000 {
            text += String(repeating: " ", count: level) + step + "\n"
            level += step.hasSuffix(":") ? 1 : step.utf8.count
        }
        return text
    }

    private static let towers: [String: String] = [
        "brackets behind a quote in a comment": "# \"\n" + String(repeating: "[\n", count: 400_000),
        "braces behind a quote in a comment": "# '\n" + String(repeating: "{a:\n", count: 200_000),
        "brackets": String(repeating: "[", count: 900_000), "braces": String(repeating: "{a: ", count: 200_000),
        "mappings": stairs("a:"), "lists": stairs(String(repeating: "- ", count: 64)),
        "keys": stairs(String(repeating: "? ", count: 64)),
        "just not too deep": String(repeating: "[", count: 990) + String(repeating: "]", count: 990),
    ]

    /// The parser and we recurse as deep as the parser goes, and that is not deep.
    @Test(arguments: towers.keys.sorted())
    func towersNeedLittleStack(name: String) async throws {
        let text = try #require(Self.towers[name])
        let result = await withCheckedContinuation { (done: CheckedContinuation<LoadResult, Never>) in
            let thread = Thread { done.resume(returning: Self.load(text)) }
            // A quarter of what threads have by default.
            thread.stackSize = 2 << 20
            thread.start()
        }
        #expect(!result.isValid && result.policies.isEmpty)
    }

    @Test func theDepthOfTheTreeIsLimited() {
        let open = String(repeating: "[", count: 65)
        let close = String(repeating: "]", count: 65)
        #expect(Self.first("a: \(open)\(close)").contains(":1:68: nested more than 64 levels deep"))
    }

    @Test func aLineMayHoldManyBracketsSideBySide() {
        let rules = (0..<2_000).map { "{\"path\":\"/bin/x\($0)\",\"fromSource\":[{\"path\":\"/bin/a\"}]}" }
        let text =
            "{\"apiVersion\":\"security.kubearmor.com/v1\",\"kind\":\"KubeArmorPolicy\",\"metadata\":{\"name\":\"p\"},"
            + "\"spec\":{\"process\":{\"matchPaths\":[\(rules.joined(separator: ","))]}}}"
        let result = Self.load(text)
        #expect(result.policies.first?.process.count == 2_000, "\(result.diagnostics)")
    }

    @Test func linesOfDashesInATextAreNoNesting() {
        let text = Self.host + "  message: |\n    \(String(repeating: "-", count: 300))\n"
        #expect(Self.load(text).policies.first?.attributes.message.count == 301)
    }

    @Test func sizesAreLimited() {
        var limits = LoadingLimits()
        limits.fileBytes = 100
        limits.nodes = 20
        limits.documents = 1
        limits.rules = 2
        #expect(
            Self.load(Self.host, limits: limits).diagnostics.map(\.description)
                == ["f:1:1: the file is larger than 100 bytes"])
        limits.fileBytes = 1 << 20
        #expect(
            Self.load("[\(String(repeating: "a,", count: 30))]", limits: limits).diagnostics.map(\.description)
                == ["f:1:40: more than 20 values in one file"])
        #expect(
            Self.load("a: b\n---\nc: d\n", limits: limits).diagnostics.map(\.description)
                == ["f:3:1: more than 1 documents"])
        limits.nodes = 1_000
        let rules = "  network: {matchProtocols: [{protocol: \"tcp,udp,icmp\"}]}\n"
        #expect(
            Self.load(Self.host + rules, limits: limits).diagnostics.map(\.description)
                == ["f:1:1: the policy has 3 rules, more than 2"])
        let devices = "  device: {matchDevice: [{class: ALL}, {class: HID}, {class: HUB}]}\n"
        #expect(
            Self.load(Self.host + devices, limits: limits).diagnostics.map(\.description)
                == ["f:1:1: the policy has 3 rules, more than 2"])
    }

    @Test func aMillionMistakesAreNotAllDescribed() {
        let names = (0..<900).map { "unlnk\($0)" }.joined(separator: ",")
        let items = (0..<100).map { _ in "      - syscall: [\(names)]\n" }.joined()
        let result = Self.load(Self.host + "  syscalls:\n    matchSyscalls:\n" + items)
        #expect(result.diagnostics.count == 51)
        #expect(result.diagnostics.contains { $0.message == "more than 50 problems; the rest is not shown" })
    }

    @Test func manyWarningsDoNotMakeAFileInvalid() {
        let policy = Self.host.replacingOccurrences(of: "{name: p}", with: "{name: p, namespace: n}")
        let result = Self.load(Array(repeating: policy, count: 60).joined(separator: "---\n"))
        #expect(result.isValid && result.policies.count == 60)
        #expect(result.diagnostics.count == 51 && result.diagnostics.allSatisfy { $0.severity == .warning })
        let broken = Array(repeating: policy, count: 60).joined(separator: "---\n") + "---\nkind: x\n"
        #expect(Self.load(broken).diagnostics.contains { $0.severity == .error && $0.message.contains("'x'") })
    }

    @Test func messagesAreOneShortLineWithoutControlCharacters() {
        let text = Self.host + "  \"x\\n\\e[31m\\u202e\(String(repeating: "y", count: 800))\": 1\n"
        let message = Self.load(text).diagnostics.first?.message ?? ""
        #expect(message.hasPrefix("unknown field 'x\\u{a}\\u{1b}[31m\\u{202e}yyy") && message.hasSuffix("y…"))
        #expect(message.unicodeScalars.count < 600)
    }
}

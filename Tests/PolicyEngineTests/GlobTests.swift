import PolicyModel
import Testing

@testable import PolicyEngine

/// AppArmor globs (apparmor.d(5), "Globbing") in the compiled form.
@Suite struct GlobTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let pattern: String
        let matching: [String]
        let others: [String]
        var testDescription: String { pattern }

        init(_ pattern: String, _ matching: [String], not others: [String]) {
            self.pattern = pattern
            self.matching = matching
            self.others = others
        }
    }

    @Test(arguments: rows)
    func matches(row: Row) throws {
        let script = try EngineScript(["block file glob:\(row.pattern)"])
        for path in row.matching { #expect(try script.ask("file \(path)") == "block 1", "\(path)") }
        for path in row.others { #expect(try script.ask("file \(path)") == "allow", "\(path)") }
    }

    private static let long = String(repeating: "d/", count: 2_000)

    static let rows = [
        Row("/a/*", ["/a/b", "/a/.b"], not: ["/a", "/a/b/c", "/b/a"]),
        Row("/a/**", ["/a/b", "/a/b/c"], not: ["/a", "/ab"]),
        Row("/a*", ["/a", "/ab"], not: ["/a/b", "/b"]),
        Row("/a**", ["/a", "/ab", "/a/b/c"], not: ["/b"]),
        Row("/a***b", ["/ab", "/a/x/b"], not: ["/a"]),
        Row("/*/b", ["/a/b"], not: ["/b", "/a/c/b", "/a/b/c"]),
        Row("/**/b", ["/a/b", "/a/c/b"], not: ["/b", "/ab", "/a/bc"]),
        Row("/**b", ["/b", "/ab", "/a/b", "/bb"], not: ["/a", "/ba"]),
        Row("**", ["/", "/a", "/a/b"], not: []),
        Row("**/b", ["/b", "/a/b"], not: ["/a", "/b/a"]),
        Row("*", [], not: ["/", "/a"]),
        Row("?etc/x", [], not: ["/etc/x"]),
        Row("/?", ["/a", "/*"], not: ["/", "/ab", "/a/b"]),
        Row("/a?b", ["/axb"], not: ["/a/b", "/ab"]),
        Row("/[a-c]x", ["/ax", "/cx"], not: ["/dx", "/x", "/-x"]),
        Row("/[a-]", ["/a", "/-"], not: ["/b"]),
        Row("/[-a]", ["/a", "/-"], not: ["/b"]),
        Row("/[^a]x", ["/bx", "//x"], not: ["/ax", "/x"]),
        Row("/[a^]x", ["/ax", "/^x"], not: ["/bx"]),
        Row("/[\\]a]", ["/]", "/a"], not: ["/\\"]),
        Row("/{a,b}", ["/a", "/b"], not: ["/c", "/ab", "/{a,b}"]),
        Row("/{a,b/{c,d*},}e", ["/ae", "/b/ce", "/b/dxe", "/e"], not: ["/be", "/b/e"]),
        Row("/x{,.old}", ["/x", "/x.old"], not: ["/x."]),
        Row("/a,b", ["/a,b"], not: ["/a", "/b"]),
        Row("/{a}", ["/a"], not: ["/{a}"]),
        Row("/\\*", ["/*"], not: ["/a", "/\\*"]),
        Row("/\\{a\\}", ["/{a}"], not: ["/a"]),
        Row("/a*b*c", ["/abc", "/axbxc", "/abcbc"], not: ["/ab", "/abcx", "/ab/c"]),
        Row("/**/x/**/y", ["/a/x/b/y", "/a/x/b/x/c/y"], not: ["/x/y", "/a/x/y", "/a/x/b/yz"]),
        Row("/é?", ["/éa"], not: ["/é", "/é/"]),
        Row("/a/b", ["/a/b"], not: ["/a/bc", "/a"]),
        Row("/**x", ["/" + long + "x"], not: ["/" + long + "y"]),
        Row("(a+)+$", [], not: ["/aaaa", "/a"]),
        // Two sources of `*` in a row are one `*`, not a `**`.
        Row("/{a*,b}*c", ["/axc", "/bxc"], not: ["/a/c"]),
        // More states than a word has bits, and children far apart.
        Row(
            "/" + String(repeating: "ab", count: 60) + "*z", ["/" + String(repeating: "ab", count: 60) + "xz"],
            not: ["/" + String(repeating: "ab", count: 59) + "xz"]),
        Row(
            "/**" + String(repeating: "{a,b}?", count: 6), ["/xaxbxaxbxaxbx", "/axbxaxbxaxbx"],
            not: ["/axbxaxbxax", "/axbxaxbxaxbx/"]),
    ]

    @Test(arguments: [
        ("/[ab", "'[' is not closed"), ("/[", "'[' is not closed"), ("/[]", "'[…]' is empty"),
        ("/[^]", "'[…]' is empty"), ("/[c-a]", "a range in '[…]' runs backwards"), ("/{a,b", "'{' is not closed"),
        ("/a}", "'}' without '{'"), ("/a\\", "'\\' at the end"), ("/[a\\", "'[' is not closed"), ("", "it is empty"),
        ("/" + String(repeating: "{a", count: 40), "'{' is nested more than 16 deep"),
        ("/" + String(repeating: "{a,b}", count: 9), "'{…}' stands for more than 256 alternatives"),
        ("/*" + String(repeating: "a?", count: 600), "it has 1201 states, more than 1024"),
        ("/" + String(repeating: "a", count: 4_095), "it is longer than 4095 bytes"),
        (
            "/" + String(repeating: "{ab,cd}", count: 8) + String(repeating: "e", count: 30),
            "its alternatives written out are longer than 8192"
        ),
    ])
    func refused(pattern: String, reason: String) {
        var policy = Policy(kind: .host, name: "p", position: EngineScript.position(0))
        policy.file = [
            FileRule(
                subject: .pattern(pattern), attributes: RuleAttributes(action: .block),
                position: EngineScript.position(7))
        ]
        let error = #expect(throws: CompilationError.self) {
            try SnapshotCompiler().compile(policies: [policy], postures: Postures(), generation: 1)
        }
        #expect(error?.position == EngineScript.position(7))
        #expect(error?.message == "pattern '\(pattern)': \(reason)")
    }

    /// Thousands of patterns in many chunks still match exactly as each of them alone.
    @Test func manyPatterns() throws {
        let script = try EngineScript(
            (0..<3_000).map { index in
                switch index % 3 {
                case 0: "block file glob:/**/*.e\(index)"
                case 1: "block file glob:/srv/**/n\(index)-*/*.db"
                default: "block file glob:/**/{p,q}[0-9]-\(index)*"
                }
            })
        for index in stride(from: 0, to: 3_000, by: 333) {
            #expect(try script.ask("file /a/b/x.e\(index)") == "block \(index + 1)")
            #expect(try script.ask("file /srv/a/b/n\(index + 1)-x/y.db") == "block \(index + 2)")
            // A trailing `*`: numbers that are prefixes match too; the first in list order is reported.
            #expect(try script.ask("file /a/q7-\(index + 2)").hasPrefix("block"))
            #expect(try script.ask("file /srv/a/b/n\(index)-x/y.db") == "allow")
        }
    }

    /// Chooser of patterns and of names together: the steps of one verdict are bounded, and the bound fails closed.
    @Test func stepsAreBounded() throws {
        // No two patterns share a state behind the first, and every state lives on a path of `a`.
        func hostile(_ action: String, _ count: Int) -> [String] {
            (0..<count).map { index in
                let others = (0..<11).filter { index >> $0 & 1 == 1 }.map {
                    "bcdefghijkl".utf8.map(UnicodeScalar.init)[$0]
                }
                let set = others.reduce(into: "a") { $0.unicodeScalars.append($1) }
                return "\(action) file glob:/**[\(set)]" + String(repeating: "?", count: 40) + "x"
            }
        }
        let path = "/" + String(repeating: "a", count: 4_094)
        #expect(try EngineScript(hostile("block", 2_000)).ask("file \(path)") == "block limit")
        #expect(try EngineScript(hostile("audit", 2_000)).ask("file \(path)") == "audit limit")
        #expect(try EngineScript(hostile("block", 2_000)).ask("file /aaaa") == "allow")
        // A block by an exact path needs no pattern.
        #expect(try EngineScript(hostile("block", 2_000) + ["block file \(path)"]).ask("file \(path)") == "block 2001")
    }

    /// Patterns that make backtracking matchers run for years take a fraction of the bound.
    @Test(arguments: [
        "/" + String(repeating: "*a", count: 40) + "b", "/**/" + String(repeating: "**/", count: 60) + "b",
        "/" + String(repeating: "**a", count: 100) + "b", "/" + String(repeating: "{a,aa}", count: 8) + "b",
    ])
    func starsAreLinear(pattern: String) throws {
        let script = try EngineScript(["block file glob:\(pattern)"])
        #expect(try script.ask("file /" + String(repeating: "a", count: 4_094)) == "allow")
        #expect(try script.ask("file /" + String(repeating: "a/", count: 2_000) + "a") == "allow")
    }
}

import PolicyEngine
import PolicyModel
import Testing

/// Inputs outside of what the random sets contain.
@Suite struct PropertyEdgeTests {
    private func fileRule(_ subject: PathSubject, line: Int, _ action: RuleAction = .block) -> FileRule {
        FileRule(
            subject: subject, attributes: RuleAttributes(action: action),
            position: SourcePosition(file: "edge.yaml", line: line, column: 1))
    }

    private func policy(_ files: [FileRule], _ processes: [ProcessRule] = []) -> Policy {
        var policy = Policy(
            kind: .host, name: "edge", position: SourcePosition(file: "edge.yaml", line: 1, column: 1))
        policy.file = files
        policy.process = processes
        return policy
    }

    /// The effect of an operation of which every fact is known, without arguments.
    private func effect(
        _ category: PolicyEngine.Category, _ path: [UInt8], _ policy: Policy, aliases: [PathAlias] = []
    ) throws -> Effect {
        let compiled = try SnapshotCompiler().compile(
            policies: [policy], postures: Postures(file: .block), aliases: aliases, generation: 1)
        return try compiled.bytes.withUnsafeBytes { bytes in
            let snapshot = try Snapshot(validating: bytes)
            return path.withUnsafeBytes {
                var operation = ObjectOperation(category: category, path: $0)
                operation.known = PropertyEngine.allFacts
                let verdict = snapshot.verdict(for: operation)
                #expect(verdict.missing.isEmpty)
                return verdict.effect
            }
        }
    }

    /// An object without a name must not stop the agent; in an allow-list it is denied.
    @Test(arguments: [[], Array("a".utf8), Array("memfd:a".utf8), [0xff]] as [[UInt8]])
    func namelessObject(path: [UInt8]) throws {
        let position = SourcePosition(file: "edge.yaml", line: 3, column: 1)
        let program = ProcessRule(
            subject: .execname("b"), attributes: RuleAttributes(action: .allow), position: position)
        let subjects: [PathSubject] = [.path("/a"), .directory("/", recursive: true), .pattern("/**")]
        let files = subjects.enumerated().map { fileRule($0.element, line: 10 + $0.offset, .allow) }
        #expect(try effect(.file, path, policy(files, [program])) == .block)
        #expect(try effect(.process, path, policy(files, [program])) == .block)
    }

    /// One letter in two spellings is two names, for aliases too.
    @Test func aliasesAreBytes() throws {
        let rules = policy([fileRule(.path("/d/e\u{301}"), line: 2)])
        let same = [PathAlias(literal: "/d/e\u{301}", canonical: "/x")]
        let other = [PathAlias(literal: "/d/\u{e9}", canonical: "/x")]
        #expect(try effect(.file, Array("/x".utf8), rules, aliases: same) == .block)
        #expect(try effect(.file, Array("/x".utf8), rules, aliases: other) == .allow)
    }

    /// A name that begins with a combining mark still lies under the directory before it.
    @Test func aliasOfDirectoryBeforeCombiningMark() throws {
        let rules = policy([fileRule(.path("/d/\u{301}a"), line: 2)])
        let aliases = [PathAlias(literal: "/d/", canonical: "/x/")]
        #expect(try effect(.file, Array("/x/\u{301}a".utf8), rules, aliases: aliases) == .block)
    }

    /// The canonical name of a pattern's prefix is a name, not a pattern.
    @Test(arguments: ["/x*/", "/[ab]/", "/{a,b}/", "/a\\b/", "/?/"])
    func canonicalPrefixIsLiteral(canonical: String) throws {
        let rules = policy([fileRule(.pattern("/d/*.c"), line: 2)])
        let aliases = [PathAlias(literal: "/d/", canonical: canonical)]
        #expect(try effect(.file, Array((canonical + "f.c").utf8), rules, aliases: aliases) == .block)
        for path in ["/xy/f.c", "/a/f.c", "/b/f.c", "/ab/f.c", "/z/f.c"] {
            #expect(try effect(.file, Array(path.utf8), rules, aliases: aliases) == .allow)
        }
    }
}

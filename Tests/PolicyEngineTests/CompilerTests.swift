import PolicyModel
import Testing

@testable import PolicyEngine

/// What the compiler refuses, reports and promises.
@Suite struct CompilerTests {
    private func refusal(_ rules: [String], _ limits: CompilerLimits = CompilerLimits()) -> String {
        do {
            _ = try EngineScript(rules, limits: limits)
            return "compiled"
        } catch { return "\(error)" }
    }

    @Test func limitsNameTheRule() {
        func limits(_ change: (inout CompilerLimits) -> Void) -> CompilerLimits {
            var limits = CompilerLimits()
            change(&limits)
            return limits
        }
        let rules = ["block file /a", "block process /b", "block dns c"]
        #expect(refusal(rules, limits { $0.rules = 3 }) == "compiled")
        #expect(refusal(rules, limits { $0.rules = 2 }) == "p.yaml:3:3: more than 2 rules")
        #expect(refusal(rules, limits { $0.bytes = 1_000 }).hasSuffix("the compiled rules are larger than 1000 bytes"))
        #expect(
            refusal(["block file /abc"], limits { $0.pathLength = 4 }) == "compiled")
        #expect(
            refusal(["block file /abc"], limits { $0.pathLength = 3 }) == "p.yaml:1:3: a name longer than 3 bytes")
        #expect(
            refusal(["block file /a from=/b,/c"], limits { $0.listLength = 1 })
                == "p.yaml:1:3: more than 1 entries in fromSource")
        #expect(
            refusal(["block process /a args=b,c"], limits { $0.listLength = 1 })
                == "p.yaml:1:3: more than 1 entries in allowedArgs")
        #expect(
            refusal(["block file glob:/a*", "block file glob:/b*"], limits { $0.totalPatternStates = 3 })
                == "p.yaml:2:3: the patterns up to this one have more than 3 states")
        #expect(
            refusal(
                ["audit process /a args=x", "audit process /a args=y", "audit process /a args=x"],
                limits { $0.auditsPerSubject = 1 })
                == "p.yaml:2:3: more than 1 Audit rules with different qualifiers on one subject")
    }

    /// Audit rules that can never be the first to fire do not count.
    @Test func equalAuditsAreOne() throws {
        var limits = CompilerLimits()
        limits.auditsPerSubject = 2
        let script = try EngineScript(
            ["audit file /a ro", "audit file /a"] + [String](repeating: "audit file /a ro", count: 500), limits: limits)
        #expect(try script.ask("file /a") == "audit 2")
        #expect(try script.ask("file /a w") == "audit 1")
    }

    @Test(arguments: [
        (PathSubject.path(""), "the path '' is empty or ends in '/'"),
        (.path("/a/"), "the path '/a/' is empty or ends in '/'"),
        (.path("/a\0b"), "the path '/a\0b' is empty or ends in '/'"),
        (.directory("/a", recursive: true), "the directory '/a' does not end in '/'"),
        (.execname("a"), "'a' is not a program's name, or not in a process rule"),
    ])
    func malformedSubjects(subject: PathSubject, reason: String) {
        var policy = Policy(kind: .host, name: "p", position: EngineScript.position(1))
        policy.file = [
            FileRule(subject: subject, attributes: RuleAttributes(), position: EngineScript.position(4))
        ]
        let error = #expect(throws: CompilationError.self) {
            try SnapshotCompiler().compile(policies: [policy], postures: Postures(), generation: 1)
        }
        #expect(error == CompilationError(position: EngineScript.position(4), message: reason))
    }

    /// Nothing before the limit of the kernel: deep, and long in one component.
    @Test func longPaths() throws {
        let deep = "/" + Array(repeating: "d", count: 2_047).joined(separator: "/")
        let wide = "/" + String(repeating: "w", count: 4_094)
        let script = try EngineScript([
            "block file \(deep)", "block file \(wide)", "block file \(String(deep.dropLast(2)))/...",
            "audit file /d/...",
        ])
        #expect(deep.utf8.count == 4_094)
        #expect(try script.ask("file \(deep)") == "block 1")
        #expect(try script.ask("file \(wide)") == "block 2")
        #expect(try script.ask("file \(String(deep.dropLast(1)))e") == "block 3")
        #expect(try script.ask("file \(String(deep.dropLast(4)))") == "audit 4")
    }

    @Test func aliases() throws {
        let aliases = [
            PathAlias(literal: "/bin/", canonical: "/usr/bin/"),
            PathAlias(literal: "/bin/sh", canonical: "/usr/bin/dash"),
            PathAlias(literal: "/s", canonical: "/opt/s"), PathAlias(literal: "/d/", canonical: "/e[1]/"),
        ]
        let script = try EngineScript(
            [
                "block process /bin/ls", "block process /bin/sh", "block file /bin/... from=/s",
                "block file glob:/{d,f}/*.c",
                "audit call mount path=/bin/ from=/s", "block cap 1 from=/s",
            ], aliases: aliases)
        for (operation, verdict) in [
            ("process /bin/ls", "block 1"), ("process /usr/bin/ls", "block 1"), ("process /usr/bin/dash", "block 2"),
            ("process /usr/bin/sh", "allow"), ("file /usr/bin/x/y from=/opt/s", "block 3"),
            ("file /bin/x from=/s", "block 3"), ("file /bin/x from=/t", "allow"), ("file /usr/bin from=/s", "block 3"),
            ("file /d/a.c", "block 4"), ("file /e[1]/a.c", "block 4"), ("file /e1/a.c", "allow"),
            ("file /f/a.c", "block 4"),
            ("call mount /usr/bin/x from=/opt/s", "audit 5"), ("cap 1 from=/opt/s", "block 6"),
        ] { #expect(try script.ask(operation) == verdict, "\(operation)") }
    }

    /// An alias' key is a key like others: the later rule has it.
    @Test func aliasKeysAreReplaced() throws {
        let aliases = [PathAlias(literal: "/a", canonical: "/b")]
        #expect(try EngineScript(["block file /a", "allow file /b"], aliases: aliases).ask("file /b") == "allow 2")
        #expect(try EngineScript(["allow file /b", "block file /a"], aliases: aliases).ask("file /b") == "block 2")
    }

    @Test func subjectsForTheMarkPlanner() throws {
        let script = try EngineScript(
            [
                "block file /d/a ro", "allow process name:sh", "audit file /d/... from=/s", "block process /d/",
                "block file glob:/d/{a,b}?", "block dns x",
            ], aliases: [PathAlias(literal: "/d/", canonical: "/x*/")])
        var lines: [String] = []
        try script.compiled.bytes.withUnsafeBytes { bytes in
            try Snapshot(validating: bytes).forEachSubject {
                let text = String(decoding: $0.text, as: UTF8.self)
                let flags = ($0.isSourceBound ? " bound" : "") + ($0.readOnly ? " ro" : "")
                lines.append("\($0.rule.rawValue) \($0.category) \($0.kind) \($0.action.name) \(text)\(flags)")
            }
        }
        #expect(
            lines == [
                "0 process execname Allow sh", "1 process directory Block /d/", "1 process directory Block /x*/",
                "2 file path Block /d/a ro", "2 file path Block /x*/a ro", "3 file recursiveDirectory Audit /d/ bound",
                "3 file recursiveDirectory Audit /x*/ bound", "4 file pattern Block /d/{a,b}?",
                "4 file pattern Block /x\\*/a?", "4 file pattern Block /x\\*/b?",
            ])
    }

    @Test func whatASnapshotSaysOfItself() throws {
        let script = try EngineScript(
            ["allow file /a", "block preset exec", "audit call mount"],
            postures: Postures(file: .audit, network: .allow, capabilities: .block))
        try script.compiled.bytes.withUnsafeBytes { bytes in
            let snapshot = try Snapshot(validating: bytes)
            #expect(snapshot.generation == 9)
            #expect(PolicyEngine.Category.allCases.filter(snapshot.isAllowList) == [.file])
            #expect(PolicyEngine.Category.allCases.filter { snapshot.hasRules(in: $0) } == [.process, .file, .syscall])
            #expect(
                PolicyEngine.Category.allCases.map(snapshot.posture) == [
                    .audit, .audit, .allow, .allow, .block, .allow,
                ])
        }
        #expect(script.compiled.rules.map(\.id.rawValue) == [0, 1, 2])
        #expect(script.compiled.rules.map(\.category) == [.file, .syscall, .process])
        #expect(script.compiled.rules.map(\.isPreset) == [nil, nil, .exec])
    }

    @Test func oneSeedOneSnapshot() throws {
        var policy = Policy(kind: .host, name: "p", position: EngineScript.position(0))
        for index in 0..<200 {
            var rule = FileRule(
                subject: index % 2 == 0 ? .path("/a/\(index)") : .pattern("/b/\(index)*"),
                attributes: RuleAttributes(), position: EngineScript.position(index))
            rule.sources = ["/s\(index % 7)", "/t"]
            policy.file.append(rule)
        }
        func bytes(_ seed: UInt64) throws -> [UInt8] {
            try SnapshotCompiler(seed: seed).compile(policies: [policy], postures: Postures(), generation: 1).bytes
        }
        #expect(try bytes(1) == bytes(1))
        #expect(try bytes(1) != bytes(2))
    }

    /// Every seed gives tables in which the reader finds every key within the longest probe.
    @Test(arguments: 0..<8)
    func everySeedIsReadable(seed: UInt64) throws {
        var policy = Policy(kind: .host, name: "p", position: EngineScript.position(0))
        for index in 0..<2_000 {
            policy.file.append(
                FileRule(
                    subject: .path("/srv/\(index % 40)/\(index)"), attributes: RuleAttributes(),
                    position: EngineScript.position(index)))
        }
        let seed = seed == 7 ? UInt64.max : seed
        let bytes = try SnapshotCompiler(seed: seed).compile(policies: [policy], postures: Postures(), generation: 1)
            .bytes
        try bytes.withUnsafeBytes { bytes in
            let snapshot = try Snapshot(validating: bytes)
            for index in 0..<2_000 {
                Array("/srv/\(index % 40)/\(index)".utf8).withUnsafeBytes {
                    let verdict = snapshot.verdict(for: ObjectOperation(category: .file, path: $0))
                    #expect(verdict == Verdict(effect: .block, rule: RuleID(rawValue: UInt32(index))))
                }
            }
        }
    }

    /// A snapshot may lie at any address.
    @Test func alignmentIsNotNeeded() throws {
        let script = try EngineScript(["block file /a", "block file glob:/b/*"])
        let moved = [0] + script.compiled.bytes
        try moved.withUnsafeBytes { bytes in
            let snapshot = try Snapshot(validating: UnsafeRawBufferPointer(rebasing: bytes[1...]))
            Array("/b/c".utf8).withUnsafeBytes {
                #expect(snapshot.verdict(for: ObjectOperation(category: .file, path: $0)).effect == .block)
            }
        }
    }
}

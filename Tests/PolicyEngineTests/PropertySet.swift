import PolicyModel

/// A random list of policies; every rule is on its own line, so that a line names a rule.
struct PropertySet {
    var policies: [Policy] = []
    var postures: Postures
    let vocabulary: PropertyVocabulary
    /// Paths and directories named by rules: operations are made around them.
    private(set) var texts: [String] = []
    private var line = 0
    /// Percentages of Allow and Audit; the rest blocks.
    private let allowPercent: Int
    private let auditPercent: Int

    init(_ random: inout PropertyRandom) {
        vocabulary = PropertyVocabulary(&random)
        postures = Postures(
            file: random.pick(Posture.allCases), network: random.pick(Posture.allCases),
            capabilities: random.pick(Posture.allCases))
        let mixes = [(33, 33), (50, 10), (0, 20), (0, 60), (20, 0), (45, 45), (10, 80)]
        (allowPercent, auditPercent) = random.pick(mixes)
        if random.chance(2) { return }
        let size = random.pick([1, 2, 4, 7, 11])
        for index in 0..<(1 + random.below(4)) { addPolicy(index, size: size, &random) }
    }

    private mutating func position() -> SourcePosition {
        line += 1
        return SourcePosition(file: "set.yaml", line: line, column: 1 + line % 7)
    }

    private func attributes(_ random: inout PropertyRandom) -> RuleAttributes {
        let roll = random.below(100)
        let action: RuleAction =
            roll < allowPercent ? .allow : roll < allowPercent + auditPercent ? .audit : .block
        return RuleAttributes(
            severity: random.below(11), tags: random.chance(20) ? ["T\(line)", "MITRE"] : [],
            message: random.chance(20) ? "message \(line)" : "", action: action)
    }

    private func sources(_ random: inout PropertyRandom) -> [String] {
        if random.chance(60) { return [] }
        var result = [random.pick(PropertyVocabulary.executables)]
        while random.chance(35) { result.append(random.pick(PropertyVocabulary.executables)) }
        return result
    }

    private func terminal(_ random: inout PropertyRandom) -> Bool? {
        [nil, nil, nil, nil, nil, nil, nil, true, false, false][random.below(10)]
    }

    private mutating func addPolicy(_ index: Int, size: Int, _ random: inout PropertyRandom) {
        var policy = Policy(
            kind: random.pick([.container, .host, .cluster]), name: "policy-\(random.chance(90) ? index : 0)",
            namespace: random.chance(50) ? "ns" : nil, position: position())
        policy.process = (0..<random.below(size + 1)).map { _ in processRule(&random) }
        policy.file = (0..<random.below(size + 1)).map { _ in fileRule(&random) }
        policy.protocols = (0..<random.below(size + 1)).map { _ in
            let name = random.pick(ProtocolName.allCases)
            var rule = ProtocolRule(name: name, attributes: attributes(&random), position: position())
            rule.terminal = terminal(&random)
            rule.sources = sources(&random)
            return rule
        }
        policy.dns = (0..<random.below(size + 1)).map { _ in
            var domain = random.pick(PropertyVocabulary.domains)
            if random.chance(15) { domain = domain.uppercased() }
            var rule = DNSRule(domain: domain, attributes: attributes(&random), position: position())
            rule.sources = sources(&random)
            return rule
        }
        policy.capabilities = (0..<random.below(size + 1)).map { _ in
            let number = random.pick([0, 1, 7, 12, 13, 21, 31, 32, 33, 40] as [UInt8])
            var rule = CapabilityRule(
                capability: number, name: "number\(number)", attributes: attributes(&random), position: position())
            rule.sources = sources(&random)
            return rule
        }
        if random.chance(60) {
            policy.syscalls = (0..<random.below(size + 1)).map { _ in syscallRule(&random) }
        }
        if random.chance(40) {
            policy.presets = (0...random.below(4)).map { _ in
                PresetRule(
                    name: random.pick(PresetName.allCases), attributes: attributes(&random), position: position())
            }
        }
        policies.append(policy)
    }

    /// A process rule; matchPaths, matchDirectories and matchPatterns are mixed, since only the list order counts.
    private mutating func processRule(_ random: inout PropertyRandom) -> ProcessRule {
        let subject: PathSubject
        if random.chance(25) {
            let special = ["memfd:a", "e\u{301}", "\u{e9}", "x"]
            subject = .execname(random.chance(90) ? random.pick(vocabulary.components) : random.pick(special))
        } else {
            subject = pathSubject(&random)
        }
        var rule = ProcessRule(subject: subject, attributes: attributes(&random), position: position())
        if random.chance(30) {
            rule.allowedArguments = (0...random.below(3)).map { _ in random.pick(PropertyVocabulary.arguments) }
        }
        rule.ownerOnly = random.chance(20)
        rule.terminal = terminal(&random)
        rule.sources = sources(&random)
        return rule
    }

    private mutating func fileRule(_ random: inout PropertyRandom) -> FileRule {
        var rule = FileRule(subject: pathSubject(&random), attributes: attributes(&random), position: position())
        rule.readOnly = random.chance(30)
        rule.ownerOnly = random.chance(25)
        rule.terminal = terminal(&random)
        rule.sources = sources(&random)
        return rule
    }

    private mutating func pathSubject(_ random: inout PropertyRandom) -> PathSubject {
        switch random.below(10) {
        case 0..<4:
            // Half of the exact paths name a directory of another rule, since that is the same key.
            let directories = texts.filter { $0.hasSuffix("/") && $0.utf8.count > 1 }
            if random.chance(25), !directories.isEmpty {
                return .path(String(random.pick(directories).dropLast()))
            }
            let path = vocabulary.path(&random)
            texts.append(path)
            return .path(path)
        case 4..<7:
            let directory = vocabulary.directory(&random)
            texts.append(directory)
            return .directory(directory, recursive: random.chance(50))
        default:
            return .pattern(vocabulary.pattern(&random))
        }
    }

    private mutating func syscallRule(_ random: inout PropertyRandom) -> SyscallRule {
        var path: String?
        if random.chance(60) { path = random.chance(50) ? vocabulary.path(&random) : vocabulary.directory(&random) }
        if let path { texts.append(path) }
        var rule = SyscallRule(
            syscalls: (0...random.below(2)).map { _ in random.pick(PropertyVocabulary.systemCalls) }, path: path,
            attributes: RuleAttributes(action: .audit), position: position())
        rule.recursive = random.chance(50)
        if random.chance(40) {
            rule.sources = (0...random.below(2)).map { _ in
                random.chance(50)
                    ? SyscallRule.Source(path: random.pick(PropertyVocabulary.executables))
                    : SyscallRule.Source(
                        path: random.pick(["/", "/bin/", "/b/", "/b/c/"]), recursive: random.chance(50))
            }
        }
        return rule
    }
}

import PolicyModel

/// Takes rules, one after the other, and puts them under their keys.
struct RuleCollector {
    private(set) var draft: SnapshotDraft
    private(set) var rules: [RuleDescription] = []
    private let limits: CompilerLimits
    private let firstRule: Int
    private let names: SubjectNames
    private var presets: [(name: PresetName, rule: UInt32, audits: Bool)] = []
    private var patternStates = 0

    typealias RecordFlag = SnapshotLayout.RecordFlag

    init(draft: SnapshotDraft, limits: CompilerLimits, aliases: [PathAlias], firstRule: Int) {
        self.draft = draft
        self.firstRule = firstRule
        self.limits = limits
        names = SubjectNames(aliases)
    }

    /// The presets for the header: Block before Audit, then list order.
    var presetWords: [(UInt32, UInt32)] {
        (presets.filter { !$0.audits } + presets.filter { $0.audits })
            .map { (PresetCode.word($0.name, audits: $0.audits), $0.rule) }
    }

    mutating func add(_ policy: Policy) throws(CompilationError) {
        for rule in policy.process {
            var flags: UInt32 = rule.ownerOnly ? RecordFlag.ownerOnly : 0
            if rule.terminal == false { flags |= RecordFlag.noTerminal }
            let common = Common(policy, .process, rule.sources, rule.attributes, rule.position, flags: flags)
            try add(rule.subject, common, arguments: rule.allowedArguments)
        }
        for rule in policy.file {
            var flags: UInt32 = rule.ownerOnly ? RecordFlag.ownerOnly : 0
            if rule.terminal == false { flags |= RecordFlag.noTerminal }
            if rule.readOnly { flags |= RecordFlag.readOnly }
            let common = Common(policy, .file, rule.sources, rule.attributes, rule.position, flags: flags)
            try add(rule.subject, common, arguments: [])
        }
        for rule in policy.protocols { try add(rule, policy) }
        for rule in policy.dns { try add(rule, policy) }
        for rule in policy.capabilities { try add(rule, policy) }
        for rule in policy.syscalls { try add(rule, policy) }
        for rule in policy.presets { try add(rule, policy) }
    }

    /// What every rule has.
    private struct Common {
        let policy: Policy
        let category: Category
        let sources: [String]
        var attributes: RuleAttributes
        let position: SourcePosition
        let flags: UInt32

        init(
            _ policy: Policy, _ category: Category, _ sources: [String], _ attributes: RuleAttributes,
            _ position: SourcePosition, flags: UInt32 = 0
        ) {
            self.policy = policy
            self.category = category
            self.sources = sources
            self.attributes = attributes
            self.position = position
            self.flags = flags | (attributes.action == .allow ? RecordFlag.allows : 0)
        }
    }

    // MARK: - Process and file

    private mutating func add(
        _ subject: PathSubject, _ common: Common, arguments: [String]
    ) throws(CompilationError) {
        let isProcess = common.category == .process
        let space = isProcess ? KeySpace.process : KeySpace.file
        let entries = try list(arguments, common.position, "allowedArgs")
        var record = try describe(common, Self.written(subject))
        record.list = draft.list(entries)
        let sources = try sourceNodes(common)
        switch subject {
        case .path(let path):
            try check(path, common.position, isDirectory: false)
            for name in names.all(Array(path.utf8)) {
                try put(draft.node(name, space), .exact, record, sources, common)
                addSubject(.path, name, common, record.rule)
            }
        case .execname(let name):
            guard isProcess, !name.isEmpty, !name.utf8.contains(UInt8(ascii: "/")) else {
                throw CompilationError(
                    position: common.position, message: "'\(name)' is not a program's name, or not in a process rule")
            }
            try checkLength(name, common.position)
            try put(draft.node(Array(name.utf8), KeySpace.execname), .exact, record, sources, common)
            addSubject(.execname, Array(name.utf8), common, record.rule)
        case .directory(let directory, let recursive):
            try check(directory, common.position, isDirectory: true)
            for name in names.all(Array(directory.utf8)) {
                let node = draft.node(directory: name, space)
                if name.count > 1 { try put(node, .exact, record, sources, common) }
                var below = record
                if recursive { below.flags |= RecordFlag.recursive }
                try put(node, .directory, below, sources, common)
                addSubject(recursive ? .recursiveDirectory : .directory, name, common, record.rule)
            }
        case .pattern(let pattern):
            try add(pattern: pattern, record, sources, common)
        }
    }

    private static func written(_ subject: PathSubject) -> String {
        switch subject {
        case .path(let text), .execname(let text), .directory(let text, _), .pattern(let text): text
        }
    }

    private mutating func add(
        pattern: String, _ record: SnapshotDraft.Record, _ sources: [UInt32], _ common: Common
    ) throws(CompilationError) {
        let text = Array(pattern.utf8)
        let alternatives: [[GlobToken]]
        do { alternatives = try GlobParser.parse(text, limits: limits) } catch {
            throw CompilationError(position: common.position, message: "pattern '\(pattern)': \(error.text)")
        }
        let others = alternatives.flatMap(names.others)
        let all = [(text, alternatives)] + others.map { (SubjectNames.text($0), [$0]) }
        let states = Self.stateCount(all.flatMap { $0.1 })
        let limit = min(limits.patternStates, PatternChunk.maxStates)
        guard states <= limit else {
            throw CompilationError(
                position: common.position, message: "pattern '\(pattern)': it has \(states) states, more than \(limit)")
        }
        patternStates += states * max(sources.count, 1)
        guard patternStates <= limits.totalPatternStates else {
            throw CompilationError(
                position: common.position,
                message: "the patterns up to this one have more than \(limits.totalPatternStates) states")
        }
        for (key, alternatives) in all {
            for source in sources.isEmpty ? [SnapshotLayout.none] : sources {
                var bound = record
                bound.source = source
                draft.add(
                    SnapshotDraft.Pattern(
                        isProcess: common.category == .process, audits: common.attributes.action == .audit,
                        record: bound, alternatives: alternatives),
                    key: key)
            }
            addSubject(.pattern, key, common, record.rule)
        }
    }

    /// States behind the literal directory, which costs none.
    private static func stateCount(_ alternatives: [[GlobToken]]) -> Int {
        var trie = PatternTrie()
        for tokens in alternatives {
            let literal = SubjectNames.literal(tokens)
            let directory = literal.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? 0
            trie.insert(PatternTrie.Path(tokens[directory...]), record: 0)
        }
        return trie.states.count
    }

    private mutating func addSubject(_ kind: SubjectKind, _ text: [UInt8], _ common: Common, _ rule: UInt32) {
        var head = UInt32(common.category.rawValue) | UInt32(kind.rawValue) << 8
        head |= UInt32(common.attributes.action.rawValue) << 16
        if !common.sources.isEmpty { head |= 1 << 24 }
        if common.flags & RecordFlag.readOnly != 0 { head |= 2 << 24 }
        let start = draft.append(text)
        draft.subjects += [UInt32(start), UInt32(text.count), rule, head]
    }

    // MARK: - Other categories

    private static let types: [ProtocolName: Int] = [
        .stream: 1, .dgram: 2, .raw: 3, .rdm: 4, .seqpacket: 5, .dccp: 6, .packet: 10,
    ]
    private static let protocols: [ProtocolName: Int] = [.icmp: 1, .tcp: 6, .udp: 17, .icmpv6: 58, .sctp: 132]

    private mutating func add(_ rule: ProtocolRule, _ policy: Policy) throws(CompilationError) {
        let flags = rule.terminal == false ? RecordFlag.noTerminal : 0
        let common = Common(
            policy, .networkProtocol, rule.sources, rule.attributes, rule.position, flags: flags)
        let record = try describe(common, rule.name.rawValue)
        let sources = try sourceNodes(common)
        var keys: [Int] = []
        if rule.name == .all { keys = Self.types.values.sorted().map { SnapshotLayout.Direct.types + $0 } }
        if let type = Self.types[rule.name] { keys = [SnapshotLayout.Direct.types + type] }
        if let number = Self.protocols[rule.name] { keys = [SnapshotLayout.Direct.protocols + number] }
        for key in keys { try put(draft.directNode(key), .exact, record, sources, common) }
    }

    private mutating func add(_ rule: DNSRule, _ policy: Policy) throws(CompilationError) {
        let common = Common(policy, .dns, rule.sources, rule.attributes, rule.position)
        try checkLength(rule.domain, rule.position)
        let record = try describe(common, rule.domain)
        // ASCII only, as the query's name is lower-cased.
        var domain = rule.domain.utf8.map { $0 >= 0x41 && $0 <= 0x5A ? $0 | 0x20 : $0 }
        if domain.last == UInt8(ascii: ".") { domain.removeLast() }
        let sources = try sourceNodes(common)
        for suffix in Self.searchedDomains(policy) {
            try put(draft.node(domain + suffix, KeySpace.domain), .exact, record, sources, common)
        }
    }

    /// What resolvers in a cluster's pods put behind a name before they ask for the name itself (Kubernetes, DNS for Services and Pods).
    private static func searchedDomains(_ policy: Policy) -> [[UInt8]] {
        guard policy.kind == .container || policy.kind == .cluster else { return [[]] }
        var suffixes = ["", ".cluster.local", ".svc.cluster.local"]
        if let namespace = policy.namespace { suffixes.append(".\(namespace.lowercased()).svc.cluster.local") }
        return suffixes.map { Array($0.utf8) }
    }

    private mutating func add(_ rule: CapabilityRule, _ policy: Policy) throws(CompilationError) {
        let common = Common(policy, .capability, rule.sources, rule.attributes, rule.position)
        guard Int(rule.capability) < SnapshotLayout.Direct.capabilityCount else {
            throw CompilationError(position: rule.position, message: "there is no capability \(rule.capability)")
        }
        let record = try describe(common, rule.name)
        let node = draft.directNode(SnapshotLayout.Direct.capabilities + Int(rule.capability))
        try put(node, .exact, record, try sourceNodes(common), common)
    }

    private mutating func add(_ rule: SyscallRule, _ policy: Policy) throws(CompilationError) {
        // The spec's own action does not reach system calls: Block is there only if the rule says so itself.
        let blocks = rule.attributes.action == .block && rule.path == nil
        var attributes = rule.attributes
        attributes.action = blocks ? .block : .audit
        let written = rule.sources.map(\.path)
        var common = Common(policy, .syscall, written, attributes, rule.position)
        let calls = rule.syscalls.joined(separator: ",")
        var record = try describe(common, rule.path.map { "\(calls) \($0)" } ?? calls)
        guard rule.sources.count <= limits.listLength else { throw tooLong("fromSource", rule.position) }
        var entries: [SnapshotDraft.ListEntry] = []
        for source in rule.sources {
            try checkLength(source.path, rule.position)
            entries += names.all(Array(source.path.utf8)).map { .init(text: $0, isRecursive: source.recursive) }
        }
        record.list = draft.list(entries)
        // Several may be about one call, each for other programs; the first that fires counts.
        common.attributes.action = .audit
        for name in rule.syscalls {
            let call = draft.node(Array(name.utf8), blocks ? KeySpace.blockedSystemCall : KeySpace.systemCall)
            guard let path = rule.path else {
                try put(call, .exact, record, [], common)
                continue
            }
            let isDirectory = path.utf8.last == UInt8(ascii: "/")
            try check(path, rule.position, isDirectory: isDirectory)
            let space = KeySpace.systemCallPaths + UInt32(call)
            for name in names.all(Array(path.utf8)) {
                if isDirectory {
                    var below = record
                    if rule.recursive { below.flags |= RecordFlag.recursive }
                    try put(draft.node(directory: name, space), .directory, below, [], common)
                } else {
                    try put(draft.node(name, space), .exact, record, [], common)
                }
            }
        }
    }

    private mutating func add(_ rule: PresetRule, _ policy: Policy) throws(CompilationError) {
        var attributes = rule.attributes
        if attributes.action != .audit { attributes.action = .block }
        let category: Category = rule.name == .protectEnv || rule.name == .protectProc ? .file : .process
        let common = Common(policy, category, [], attributes, rule.position)
        let record = try describe(common, rule.name.rawValue, preset: rule.name)
        presets.removeAll { $0.name == rule.name }
        presets.append((rule.name, record.rule, attributes.action == .audit))
    }

    // MARK: - Parts

    private mutating func describe(
        _ common: Common, _ subject: String, preset: PresetName? = nil
    ) throws(CompilationError) -> SnapshotDraft.Record {
        guard firstRule + rules.count < limits.rules else {
            throw CompilationError(position: common.position, message: "more than \(limits.rules) rules")
        }
        guard draft.size <= limits.bytes else { throw SnapshotWriter.tooLarge(limits, common.position) }
        let id = UInt32(firstRule + rules.count)
        rules.append(
            RuleDescription(
                id: RuleID(rawValue: id), policyName: common.policy.name, policyNamespace: common.policy.namespace,
                policyKind: common.policy.kind, category: common.category, isPreset: preset, subject: subject,
                attributes: common.attributes, sources: common.sources, position: common.position))
        let bit: UInt32 = 1 << UInt32(common.category.rawValue)
        draft.populated |= bit
        if preset == nil {
            if common.attributes.action == .allow { draft.allowLists |= bit }
            if common.attributes.action == .audit { draft.audited |= bit }
        }
        return SnapshotDraft.Record(rule: id, flags: common.flags)
    }

    private mutating func put(
        _ node: Int, _ place: SnapshotDraft.Place, _ record: SnapshotDraft.Record, _ sources: [UInt32],
        _ common: Common
    ) throws(CompilationError) {
        guard common.attributes.action == .audit else {
            return draft.enforce(node, place, record, sources: sources)
        }
        guard draft.audit(node, place, record, sources: sources) <= limits.auditsPerSubject else {
            throw CompilationError(
                position: common.position,
                message: "more than \(limits.auditsPerSubject) Audit rules with different qualifiers on one subject")
        }
    }

    private mutating func sourceNodes(_ common: Common) throws(CompilationError) -> [UInt32] {
        guard common.sources.count <= limits.listLength else { throw tooLong("fromSource", common.position) }
        var result: [UInt32] = []
        for source in common.sources {
            try checkLength(source, common.position)
            guard !source.isEmpty else {
                throw CompilationError(position: common.position, message: "an empty fromSource path")
            }
            for name in names.all(Array(source.utf8)) { result.append(UInt32(draft.node(name, KeySpace.source))) }
        }
        return result
    }

    private func list(
        _ texts: [String], _ position: SourcePosition, _ what: String
    ) throws(CompilationError) -> [SnapshotDraft.ListEntry] {
        guard texts.count <= limits.listLength else { throw tooLong(what, position) }
        return texts.map { SnapshotDraft.ListEntry(text: Array($0.utf8)) }
    }

    private func tooLong(_ what: String, _ position: SourcePosition) -> CompilationError {
        CompilationError(position: position, message: "more than \(limits.listLength) entries in \(what)")
    }

    private func check(_ path: String, _ position: SourcePosition, isDirectory: Bool) throws(CompilationError) {
        try checkLength(path, position)
        let bytes = path.utf8
        let endsInSlash = bytes.last == UInt8(ascii: "/")
        guard !bytes.isEmpty, isDirectory == endsInSlash || path == "/", !bytes.contains(0) else {
            throw CompilationError(
                position: position,
                message: isDirectory
                    ? "the directory '\(path)' does not end in '/'" : "the path '\(path)' is empty or ends in '/'")
        }
    }

    private func checkLength(_ text: String, _ position: SourcePosition) throws(CompilationError) {
        guard text.utf8.count <= limits.pathLength else {
            throw CompilationError(position: position, message: "a name longer than \(limits.pathLength) bytes")
        }
    }
}

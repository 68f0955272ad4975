import PolicyModel

/// Collects rules and writes the flat table.
struct SnapshotBuilder {
    private struct Key: Hashable {
        var table: SnapshotLayout.Table
        var text: [UInt8]
    }

    private struct Node {
        var enforce: UInt32 = SnapshotLayout.noRule
        var boundEnforce: [UInt32: UInt32] = [:]
        var audits: [UInt32] = []
        var boundAudits: [(source: UInt32, rule: UInt32)] = []
    }

    private let seed: UInt64
    /// An enforcing pattern; a later one with the same key replaces it.
    private struct PatternKey: Hashable {
        var table: SnapshotLayout.Table
        var text: [UInt8]
        var source: UInt32
    }

    // Names are compared as bytes: to `String`, two spellings of one letter are equal.
    private let aliases: [[UInt8]: [UInt8]]
    private let directoryAliases: [(literal: [UInt8], canonical: [UInt8])]
    private(set) var rules: [RuleDescription] = []
    private var text: [UInt8] = []
    private var textOffsets: [[UInt8]: UInt32] = [:]
    private var ruleWords: [UInt32] = []
    private var arguments: [UInt32] = []
    private var nodes: [Node] = []
    private var keys: [Key: Int] = [:]
    private var sources: [[UInt8]: UInt32] = [:]
    private var patterns: [UInt32] = []
    private var patternEntries: [PatternKey: Int] = [:]
    private var programs: [UInt32] = []
    private var classes: [[UInt32]] = []
    private var subjects: [UInt32] = []
    private var presets: [PresetName: Int] = [:]
    private var presetOrder: [PresetName] = []
    private var allowLists: UInt32 = 0
    private var populated: UInt32 = 0

    init(aliases: [PathAlias], seed: UInt64) {
        self.seed = seed
        let names = aliases.map { (literal: Array($0.literal.utf8), canonical: Array($0.canonical.utf8)) }
        self.aliases = Dictionary(names.map { ($0.literal, $0.canonical) }, uniquingKeysWith: { first, _ in first })
        directoryAliases = names.filter { $0.literal.last == UInt8(ascii: "/") }
            .sorted { $0.literal.count > $1.literal.count }
    }

    // MARK: - Rules

    mutating func add(_ rule: ProcessRule, _ policy: Policy) throws(CompilationError) {
        var flags: UInt32 = 0
        if rule.ownerOnly { flags |= SnapshotLayout.Flag.ownerOnly }
        if rule.terminal == false { flags |= SnapshotLayout.Flag.noTerminal }
        try add(
            rule.subject, .process, flags, arguments: rule.allowedArguments, rule.sources, rule.attributes,
            rule.position,
            policy)
    }

    mutating func add(_ rule: FileRule, _ policy: Policy) throws(CompilationError) {
        var flags: UInt32 = 0
        if rule.ownerOnly { flags |= SnapshotLayout.Flag.ownerOnly }
        if rule.readOnly { flags |= SnapshotLayout.Flag.readOnly }
        if rule.terminal == false { flags |= SnapshotLayout.Flag.noTerminal }
        try add(rule.subject, .file, flags, arguments: [], rule.sources, rule.attributes, rule.position, policy)
    }

    private mutating func add(
        _ subject: PathSubject, _ category: Category, _ ruleFlags: UInt32, arguments: [String], _ sources: [String],
        _ attributes: RuleAttributes, _ position: SourcePosition, _ policy: Policy
    ) throws(CompilationError) {
        let isProcess = category == .process
        var flags = ruleFlags
        if !sources.isEmpty { flags |= SnapshotLayout.Flag.sourceBound }
        let written: String
        switch subject {
        case .path(let path): written = path
        case .execname(let name): written = name
        case .pattern(let pattern): written = pattern
        case .directory(let path, let recursive):
            written = path
            if recursive { flags |= SnapshotLayout.Flag.recursive }
        }
        let rule = describe(category, written, flags, attributes, sources, position, policy, arguments: arguments)
        let allSources = sources.flatMap(names)
        switch subject {
        case .path(let path):
            for name in names(path) {
                put(isProcess ? .exactProcess : .exactFile, name, rule, allSources, attributes.action)
                addSubject(category, .path, attributes.action, rule, name)
            }
        case .execname(let name):
            put(.execname, Array(name.utf8), rule, allSources, attributes.action)
            addSubject(category, .execname, attributes.action, rule, Array(name.utf8))
        case .directory(let path, let recursive):
            for name in names(path) {
                put(isProcess ? .directoryProcess : .directoryFile, name, rule, allSources, attributes.action)
                if name.count > 1 {
                    put(
                        isProcess ? .exactProcess : .exactFile, Array(name.dropLast()), rule, allSources,
                        attributes.action)
                }
                addSubject(category, recursive ? .recursiveDirectory : .directory, attributes.action, rule, name)
            }
        case .pattern(let pattern):
            for name in patternNames(pattern) {
                try addPattern(name, isProcess, rule, allSources, attributes.action, position)
                addSubject(category, .pattern, attributes.action, rule, name)
            }
        }
    }

    mutating func add(_ rule: ProtocolRule, _ policy: Policy) {
        let flags: UInt32 = rule.terminal == false ? SnapshotLayout.Flag.noTerminal : 0
        let id = describe(
            .networkProtocol, rule.name.rawValue, flags, rule.attributes, rule.sources, rule.position, policy)
        let allSources = rule.sources.flatMap(names)
        for (table, number) in SocketNumbers.keys(of: rule.name) {
            put(table, Array(String(number).utf8), id, allSources, rule.attributes.action)
        }
    }

    mutating func add(_ rule: DNSRule, _ policy: Policy) {
        let id = describe(.dns, rule.domain, 0, rule.attributes, rule.sources, rule.position, policy)
        let allSources = rule.sources.flatMap(names)
        // ASCII only, as the query's name is lower-cased.
        let domain = rule.domain.utf8.map { $0 >= 0x41 && $0 <= 0x5A ? $0 | 0x20 : $0 }
        put(.domain, domain, id, allSources, rule.attributes.action)
    }

    mutating func add(_ rule: CapabilityRule, _ policy: Policy) {
        let id = describe(.capability, rule.name, 0, rule.attributes, rule.sources, rule.position, policy)
        let allSources = rule.sources.flatMap(names)
        put(.capability, Array(String(rule.capability).utf8), id, allSources, rule.attributes.action)
    }

    mutating func add(_ rule: SyscallRule, _ policy: Policy) {
        let id = describe(
            .syscall, rule.path ?? "", rule.recursive ? SnapshotLayout.Flag.recursive : 0, rule.attributes,
            rule.sources.map(\.path), rule.position, policy)
        // The argument list of a system call rule holds its sources: path, and `r` behind a recursive directory's.
        let start = arguments.count / 2
        for source in rule.sources {
            let bytes = Array(source.path.utf8) + (source.recursive ? [UInt8(ascii: "\n")] : [])
            arguments += [store(bytes), UInt32(bytes.count)]
        }
        ruleWords[Int(id) * 8 + 3] = UInt32(start)
        ruleWords[Int(id) * 8 + 4] = UInt32(rule.sources.count)
        for name in rule.syscalls { put(.systemCall, Array(name.utf8), id, [], .audit) }
    }

    mutating func add(_ rule: PresetRule, _ policy: Policy) {
        var attributes = rule.attributes
        if attributes.action != .audit { attributes.action = .block }
        let category: Category = rule.name == .protectEnv || rule.name == .protectProc ? .file : .process
        let id = describe(
            category, rule.name.rawValue, 0, attributes, [], rule.position, policy, preset: rule.name, switches: false)
        if presets.updateValue(Int(id), forKey: rule.name) == nil {
            presetOrder.append(rule.name)
        } else {
            presetOrder.removeAll { $0 == rule.name }
            presetOrder.append(rule.name)
        }
    }

    // MARK: - Parts

    private mutating func describe(
        _ category: Category, _ subject: String, _ flags: UInt32, _ attributes: RuleAttributes, _ sources: [String],
        _ position: SourcePosition, _ policy: Policy, arguments list: [String] = [], preset: PresetName? = nil,
        switches: Bool = true
    ) -> UInt32 {
        let id = UInt32(rules.count)
        rules.append(
            RuleDescription(
                id: RuleID(rawValue: id), policyName: policy.name, policyNamespace: policy.namespace,
                policyKind: policy.kind, category: category, isPreset: preset, subject: subject, attributes: attributes,
                sources: sources, position: position))
        let bytes = Array(subject.utf8)
        let start = arguments.count / 2
        for argument in list {
            let bytes = Array(argument.utf8)
            arguments += [store(bytes), UInt32(bytes.count)]
        }
        ruleWords += [
            UInt32(category.rawValue) | UInt32(attributes.action.rawValue) << 16 | flags << 24, store(bytes),
            UInt32(bytes.count), UInt32(start), UInt32(list.count), id, PresetCode(preset).rawValue, 0,
        ]
        if switches {
            populated |= 1 << UInt32(category.rawValue)
            if attributes.action == .allow { allowLists |= 1 << UInt32(category.rawValue) }
        }
        return id
    }

    private mutating func put(
        _ table: SnapshotLayout.Table, _ name: [UInt8], _ rule: UInt32, _ sources: [[UInt8]], _ action: RuleAction
    ) {
        let node = self.node(table, name)
        if sources.isEmpty {
            if action == .audit { nodes[node].audits.append(rule) } else { nodes[node].enforce = rule }
            return
        }
        for source in sources {
            let id = sourceID(source)
            if action == .audit {
                nodes[node].boundAudits.append((id, rule))
            } else {
                nodes[node].boundEnforce[id] = rule
            }
        }
    }

    private mutating func node(_ table: SnapshotLayout.Table, _ key: [UInt8]) -> Int {
        let key = Key(table: table, text: key)
        if let node = keys[key] { return node }
        nodes.append(Node())
        keys[key] = nodes.count - 1
        return nodes.count - 1
    }

    private mutating func sourceID(_ path: [UInt8]) -> UInt32 {
        if let id = sources[path] { return id }
        let id = UInt32(sources.count)
        sources[path] = id
        return id
    }

    private mutating func addPattern(
        _ bytes: [UInt8], _ isProcess: Bool, _ rule: UInt32, _ sources: [[UInt8]], _ action: RuleAction,
        _ position: SourcePosition
    ) throws(CompilationError) {
        let table: SnapshotLayout.Table = isProcess ? .patternsProcess : .patternsFile
        var bounds: [UInt32] = sources.isEmpty ? [SnapshotLayout.anySource] : []
        for source in sources {
            let bound = sourceID(source) + 1
            if !bounds.contains(bound) { bounds.append(bound) }
        }
        if action != .audit {
            // An equal pattern has been compiled: the entry changes hands.
            bounds.removeAll { bound in
                guard let entry = patternEntries[PatternKey(table: table, text: bytes, source: bound)] else {
                    return false
                }
                patterns[entry * 6] = rule
                return true
            }
            if bounds.isEmpty { return }
        }
        var compiler = GlobCompiler(bytes, classes: classes)
        do { try compiler.compile() } catch {
            let pattern = String(decoding: bytes, as: UTF8.self)
            throw CompilationError(position: position, message: "pattern '\(pattern)': \(error.text)")
        }
        classes = compiler.classes
        let special = Set("*?[{\\".utf8)
        let end = bytes.firstIndex { special.contains($0) } ?? bytes.endIndex
        let slash = bytes[..<end].lastIndex(of: UInt8(ascii: "/"))
        let group = slash.map { Array(bytes[...$0]) } ?? [UInt8(ascii: "/")]
        let last = bytes.last.map { special.contains($0) || "}],".utf8.contains($0) ? 256 : UInt32($0) } ?? 256
        let escaped = bytes.count > 1 && bytes[bytes.count - 2] == UInt8(ascii: "\\")
        let node = self.node(table, group)
        for bound in bounds {
            let entry = patterns.count / 6
            patterns += [
                rule, UInt32(programs.count), UInt32(compiler.program.count), escaped ? 256 : last, UInt32(group.count),
                bound,
            ]
            nodes[node].audits.append(UInt32(entry))
            if action != .audit { patternEntries[PatternKey(table: table, text: bytes, source: bound)] = entry }
        }
        programs += compiler.program
    }

    private mutating func addSubject(
        _ category: Category, _ kind: SubjectKind, _ action: RuleAction, _ rule: UInt32, _ bytes: [UInt8]
    ) {
        subjects += [
            UInt32(category.rawValue) | UInt32(kind.rawValue) << 8 | UInt32(action.rawValue) << 16, rule, store(bytes),
            UInt32(bytes.count),
        ]
    }

    private mutating func store(_ bytes: [UInt8]) -> UInt32 {
        if let offset = textOffsets[bytes] { return offset }
        let offset = UInt32(text.count)
        text += bytes
        textOffsets[bytes] = offset
        return offset
    }

    // MARK: - Aliases

    private func alias(_ name: [UInt8]) -> [UInt8]? {
        if let canonical = aliases[name] { return canonical == name ? nil : canonical }
        for (literal, canonical) in directoryAliases where name.starts(with: literal) {
            return canonical + name.dropFirst(literal.count)
        }
        return nil
    }

    private func names(_ name: String) -> [[UInt8]] {
        let bytes = Array(name.utf8)
        return [bytes] + (alias(bytes).map { [$0] } ?? [])
    }

    private func patternNames(_ pattern: String) -> [[UInt8]] {
        let bytes = Array(pattern.utf8)
        let end = bytes.firstIndex { "*?[{\\".utf8.contains($0) } ?? bytes.endIndex
        guard let slash = bytes[..<end].lastIndex(of: UInt8(ascii: "/")), let canonical = alias(Array(bytes[...slash]))
        else { return [bytes] }
        // A name is literal, whatever it contains.
        let escaped = canonical.flatMap { "*?[{}\\".utf8.contains($0) ? [UInt8(ascii: "\\"), $0] : [$0] }
        return [bytes, escaped + bytes[(slash + 1)...]]
    }

    // MARK: - Output

    mutating func finish(postures: Postures, generation: UInt64) -> [UInt8] {
        var nodeWords: [UInt32] = []
        var ruleRefs: [UInt32] = []
        var sourcedRefs: [UInt32] = []
        nodeWords.reserveCapacity(nodes.count * 8)
        for node in nodes {
            let enforceStart = sourcedRefs.count / 2
            for (source, rule) in node.boundEnforce.sorted(by: { $0.key < $1.key }) { sourcedRefs += [source, rule] }
            let auditStart = ruleRefs.count
            ruleRefs += node.audits
            let boundStart = sourcedRefs.count / 2
            for (source, rule) in node.boundAudits { sourcedRefs += [source, rule] }
            nodeWords += [
                node.enforce, UInt32(enforceStart), UInt32(node.boundEnforce.count), UInt32(auditStart),
                UInt32(node.audits.count), UInt32(boundStart), UInt32(node.boundAudits.count), 0,
            ]
        }
        let presetStart = ruleRefs.count
        ruleRefs += presetOrder.compactMap { presets[$0].map { UInt32($0) } }
        let cells = makeCells()
        var categoryPostures: UInt64 = 0
        for category in Category.allCases {
            let posture: Posture
            switch category {
            case .process, .file: posture = postures.file
            case .networkProtocol, .dns: posture = postures.network
            case .capability: posture = postures.capabilities
            case .syscall: posture = .allow
            }
            categoryPostures |= UInt64(posture.rawValue) << (8 * UInt64(category.rawValue))
        }
        var output = FlatOutput(headerSize: SnapshotLayout.headerSize)
        typealias Field = SnapshotLayout.Field
        for section in SnapshotLayout.Section.allCases {
            let start: Int
            let count: Int
            switch section {
            case .text: (start, count) = (output.append(bytes: text), text.count)
            case .rules: (start, count) = (output.append(ruleWords), ruleWords.count / 8)
            case .arguments: (start, count) = (output.append(arguments), arguments.count / 2)
            case .nodes: (start, count) = (output.append(nodeWords), nodes.count)
            case .ruleRefs: (start, count) = (output.append(ruleRefs), ruleRefs.count)
            case .sourcedRefs: (start, count) = (output.append(sourcedRefs), sourcedRefs.count / 2)
            case .cells: (start, count) = (output.append(cells), cells.count / 6)
            case .patterns: (start, count) = (output.append(patterns), patterns.count / 6)
            case .programs: (start, count) = (output.append(programs), programs.count)
            case .classes: (start, count) = (output.append(classes.flatMap { $0 }), classes.count)
            case .subjects: (start, count) = (output.append(subjects), subjects.count / 4)
            }
            output.set(UInt32(start), at: Field.sections + section.rawValue * 8)
            output.set(UInt32(count), at: Field.sections + section.rawValue * 8 + 4)
        }
        output.set(SnapshotLayout.magic, at: Field.magic)
        output.set(SnapshotLayout.version, at: Field.version)
        output.set(UInt64(output.bytes.count), at: Field.length)
        output.set(generation, at: Field.generation)
        output.set(seed, at: Field.seed)
        output.set(allowLists, at: Field.allowLists)
        output.set(populated, at: Field.populated)
        output.set(categoryPostures, at: Field.postures)
        output.set(UInt32(presetStart), at: Field.presets)
        output.set(UInt32(presetOrder.count), at: Field.presets + 4)
        let checksum = output.bytes.withUnsafeBytes {
            KeyHash.checksum(UnsafeRawBufferPointer(rebasing: $0[Field.generation...]))
        }
        output.set(checksum, at: Field.checksum)
        return output.bytes
    }

    private mutating func makeCells() -> [UInt32] {
        let entries = keys.count + sources.count
        var size = 16
        while size < entries * 2 { size *= 2 }
        var cells = [UInt32](repeating: 0, count: size * 6)
        func put(_ key: [UInt8], _ offset: UInt32, _ table: SnapshotLayout.Table, _ value: UInt32) {
            let hash = key.withUnsafeBytes { KeyHash.of($0, table, seed: seed) }
            var slot = Int(truncatingIfNeeded: hash & 0x7FFF_FFFF_FFFF_FFFF) & (size - 1)
            while cells[slot * 6 + 5] != 0 { slot = (slot + 1) & (size - 1) }
            cells[slot * 6] = UInt32(truncatingIfNeeded: hash)
            cells[slot * 6 + 1] = UInt32(truncatingIfNeeded: hash >> 32)
            cells[slot * 6 + 2] = offset
            cells[slot * 6 + 3] = UInt32(key.count)
            cells[slot * 6 + 4] = table.rawValue
            cells[slot * 6 + 5] = value + 1
        }
        for (key, node) in keys { put(key.text, store(key.text), key.table, UInt32(node)) }
        for (path, id) in sources { put(path, store(path), .source, id) }
        return cells
    }
}

/// Bytes under construction: a header, then aligned sections.
struct FlatOutput {
    private(set) var bytes: [UInt8]

    init(headerSize: Int) { bytes = [UInt8](repeating: 0, count: headerSize) }

    mutating func append(_ words: [UInt32]) -> Int {
        let start = bytes.count
        words.withUnsafeBytes { bytes += $0 }
        align()
        return start
    }

    mutating func append(bytes added: [UInt8]) -> Int {
        let start = bytes.count
        bytes += added
        align()
        return start
    }

    mutating func set<Word: FixedWidthInteger>(_ value: Word, at offset: Int) {
        withUnsafeBytes(of: value.littleEndian) { source in
            for index in 0..<source.count { bytes[offset + index] = source[index] }
        }
    }

    private mutating func align() { while bytes.count % 8 != 0 { bytes.append(0) } }
}

import PolicyModel

extension Snapshot {
    /// The verdict on a process or file operation, or the facts it depends on (docs/semantics.md).
    public func verdict(for operation: ObjectOperation) -> Verdict {
        let isProcess = operation.category == .process
        if !hasRules(in: operation.category) && presetCount == 0 && !isAllowList(operation.category) { return .allowed }
        let preset = presetVerdict(operation)
        if !preset.missing.isEmpty || preset.effect == .block { return preset }
        let slashes = operation.path.reduce(into: 1) { if $1 == UInt8(ascii: "/") { $0 &+= 1 } }
        return withUnsafeTemporaryAllocation(of: Int32.self, capacity: slashes) { directories in
            var found = ObjectKeys(directories: directories)
            locate(operation.path, isProcess: isProcess, &found)
            let verdict = enforce(operation, found)
            guard verdict.missing.isEmpty, verdict.effect != .block else { return verdict }
            if preset.effect == .audit { return preset }
            if let audit = audited(operation, found) { return audit }
            return verdict
        }
    }

    /// What a path was found under.
    struct ObjectKeys {
        /// Node of each ancestor directory that has one, shallowest first; -1 where there is none.
        let directories: UnsafeMutableBufferPointer<Int32>
        var directoryCount = 0
        /// Index in `directories` of the parent directory's own entry, or -1.
        var parent = -1
        var exact: Int32 = -1
        var name: Int32 = -1
    }

    private func locate(_ path: UnsafeRawBufferPointer, isProcess: Bool, _ found: inout ObjectKeys) {
        let directoryTable: SnapshotLayout.Table = isProcess ? .directoryProcess : .directoryFile
        var hash = KeyHash(seed: seed)
        var nameStart = 0
        var index = 0
        while index < path.count {
            hash.add(path[index])
            if path[index] == UInt8(ascii: "/") {
                nameStart = index + 1
                let node = find(
                    UnsafeRawBufferPointer(rebasing: path[0...index]), hash.value(directoryTable), directoryTable)
                found.parent = -1
                if node >= 0 {
                    found.directories[found.directoryCount] = node
                    found.parent = found.directoryCount
                    found.directoryCount += 1
                }
            }
            index &+= 1
        }
        let exactTable: SnapshotLayout.Table = isProcess ? .exactProcess : .exactFile
        found.exact = find(path, hash.value(exactTable), exactTable)
        if isProcess {
            let name = UnsafeRawBufferPointer(rebasing: path[nameStart...])
            found.name = find(name, KeyHash.of(name, .execname, seed: seed), .execname)
        }
    }

    // MARK: - Enforcing rules

    private func enforce(_ operation: ObjectOperation, _ found: ObjectKeys) -> Verdict {
        let bound =
            found.exact >= 0 && sourcedCount(found.exact, audit: false) > 0
            || hasBoundDirectory(found, audit: false) || found.name >= 0 && sourcedCount(found.name, audit: false) > 0
        var source: UInt32?
        if bound {
            guard operation.known.contains(.source) else { return .needs(.source) }
            source = sourceID(operation.source)
        }
        if let source {
            if found.exact >= 0, let rule = boundRule(found.exact, source) { return decide(rule, operation) }
            if let rule = directoryRule(found, source: source) { return decide(rule, operation) }
        }
        if found.exact >= 0, let rule = ownRule(found.exact) { return decide(rule, operation) }
        if found.name >= 0 {
            if let source, let rule = boundRule(found.name, source) { return decide(rule, operation) }
            if let rule = ownRule(found.name) { return decide(rule, operation) }
        }
        let pattern = patternRule(operation)
        if !pattern.missing.isEmpty { return .needs(pattern.missing) }
        if let rule = pattern.rule { return decide(rule, operation) }
        if let rule = directoryRule(found, source: nil) { return decide(rule, operation) }
        guard isAllowList(operation.category) else { return .allowed }
        switch posture(operation.category) {
        case .allow: return .allowed
        case .audit: return Verdict(effect: .audit, rule: .defaultPosture)
        case .block: return Verdict(effect: .block, rule: .defaultPosture)
        }
    }

    private func directoryRule(_ found: ObjectKeys, source: UInt32?) -> Int? {
        var index = found.directoryCount - 1
        while index >= 0 {
            let node = found.directories[index]
            if let rule = source.map({ boundRule(node, $0) }) ?? ownRule(node),
                flags(rule) & SnapshotLayout.Flag.recursive != 0
            {
                return rule
            }
            index -= 1
        }
        guard found.parent >= 0 else { return nil }
        let node = found.directories[found.parent]
        return source.map { boundRule(node, $0) } ?? ownRule(node)
    }

    private func patternRule(_ operation: ObjectOperation) -> (rule: Int?, missing: FactSet) {
        var best: Int?
        var missing: FactSet = []
        forEachPattern(operation) { rule, source in
            guard action(rule) != .audit else { return }
            guard let holds = holds(source, operation) else {
                missing = .source
                return
            }
            guard holds else { return }
            // Block before Allow; then list order, which is the order of rule numbers.
            if let current = best {
                if action(rule) == action(current) ? rule < current : action(rule) == .block { best = rule }
            } else {
                best = rule
            }
        }
        return (best, missing)
    }

    /// Whether a pattern with this source word is about the caller; `nil` when the source is not known.
    private func holds(_ source: UInt32, _ operation: ObjectOperation) -> Bool? {
        if source == SnapshotLayout.anySource { return true }
        return operation.known.contains(.source) ? sourceID(operation.source) &+ 1 == source : nil
    }

    /// What the deciding rule says.
    private func decide(_ rule: Int, _ operation: ObjectOperation) -> Verdict {
        let answer = denial(rule, operation)
        guard answer.missing.isEmpty else { return .needs(answer.missing) }
        return answer.denies
            ? Verdict(effect: .block, rule: RuleID(rawValue: UInt32(rule)))
            : Verdict(
                effect: .allow, rule: RuleID(rawValue: UInt32(rule)))
    }

    private func denial(_ rule: Int, _ operation: ObjectOperation) -> (denies: Bool, missing: FactSet) {
        let flags = flags(rule)
        let blocks = action(rule) != .allow
        if argumentCount(rule) > 0 {
            // Arguments can only turn a denial into a permission.
            guard operation.known.contains(.arguments) else { return (false, .arguments) }
            if listsArguments(rule, operation.arguments) { return (false, []) }
        }
        if flags & SnapshotLayout.Flag.noTerminal != 0 {
            guard operation.known.contains(.terminal) else { return (false, .terminal) }
            if operation.hasTerminal { return (true, []) }
            if blocks { return (false, []) }
        }
        if flags & SnapshotLayout.Flag.ownerOnly != 0 {
            guard operation.known.contains(.ownership) else { return (false, .ownership) }
            if !operation.isOwner { return (true, []) }
            guard flags & SnapshotLayout.Flag.readOnly != 0 else { return (false, []) }
            guard operation.known.contains(.write) else { return (false, .write) }
            return (operation.isWrite, [])
        }
        if flags & SnapshotLayout.Flag.readOnly != 0 {
            guard operation.known.contains(.write) else { return (false, .write) }
            return (operation.isWrite, [])
        }
        return (blocks, [])
    }

    // MARK: - Audit rules

    /// The first firing Audit rule, a report of missing facts, or `nil`.
    private func audited(_ operation: ObjectOperation, _ found: ObjectKeys) -> Verdict? {
        let bound =
            found.exact >= 0 && sourcedCount(found.exact, audit: true) > 0 || hasBoundDirectory(found, audit: true)
            || found.name >= 0 && sourcedCount(found.name, audit: true) > 0
        var source: UInt32?
        if bound {
            guard operation.known.contains(.source) else { return .needs(.source) }
            source = sourceID(operation.source)
        }
        if let source {
            if found.exact >= 0, let verdict = boundAudit(found.exact, source, operation, recursive: nil) {
                return verdict
            }
            if let verdict = directoryAudit(found, source, operation) { return verdict }
        }
        if found.exact >= 0, let verdict = ownAudit(found.exact, operation, recursive: nil) { return verdict }
        if found.name >= 0 {
            if let source, let verdict = boundAudit(found.name, source, operation, recursive: nil) { return verdict }
            if let verdict = ownAudit(found.name, operation, recursive: nil) { return verdict }
        }
        if let verdict = patternAudit(operation) { return verdict }
        return directoryAudit(found, nil, operation)
    }

    private func fires(_ rule: Int, _ operation: ObjectOperation) -> Verdict? {
        let answer = denial(rule, operation)
        if !answer.missing.isEmpty { return .needs(answer.missing) }
        return answer.denies ? Verdict(effect: .audit, rule: RuleID(rawValue: UInt32(rule))) : nil
    }

    private func ownAudit(_ node: Int32, _ operation: ObjectOperation, recursive: Bool?) -> Verdict? {
        let entry = nodes + Int(node) &* 32
        let start = Int(Self.word(entry, 3))
        let count = Int(Self.word(entry, 4))
        for index in start..<(start + count) {
            let rule = Int(Self.word(ruleRefs, index))
            if let recursive, (flags(rule) & SnapshotLayout.Flag.recursive != 0) != recursive { continue }
            if let verdict = fires(rule, operation) { return verdict }
        }
        return nil
    }

    private func boundAudit(
        _ node: Int32, _ source: UInt32, _ operation: ObjectOperation, recursive: Bool?
    ) -> Verdict? {
        let entry = nodes + Int(node) &* 32
        let start = Int(Self.word(entry, 5))
        let count = Int(Self.word(entry, 6))
        for index in start..<(start + count) where Self.word(sourcedRefs, index * 2) == source {
            let rule = Int(Self.word(sourcedRefs, index * 2 + 1))
            if let recursive, (flags(rule) & SnapshotLayout.Flag.recursive != 0) != recursive { continue }
            if let verdict = fires(rule, operation) { return verdict }
        }
        return nil
    }

    private func directoryAudit(
        _ found: ObjectKeys, _ source: UInt32?, _ operation: ObjectOperation
    ) -> Verdict? {
        var index = found.directoryCount - 1
        while index >= 0 {
            let node = found.directories[index]
            if let source {
                if let verdict = boundAudit(node, source, operation, recursive: true) { return verdict }
            } else if let verdict = ownAudit(node, operation, recursive: true) {
                return verdict
            }
            index -= 1
        }
        guard found.parent >= 0 else { return nil }
        let node = found.directories[found.parent]
        if let source { return boundAudit(node, source, operation, recursive: false) }
        return ownAudit(node, operation, recursive: false)
    }

    private func patternAudit(_ operation: ObjectOperation) -> Verdict? {
        var best: Int?
        var missing: FactSet = []
        forEachPattern(operation) { rule, source in
            guard action(rule) == .audit, best.map({ rule < $0 }) ?? true else { return }
            guard let holds = holds(source, operation) else {
                missing.formUnion(.source)
                return
            }
            guard holds else { return }
            let answer = denial(rule, operation)
            if !answer.missing.isEmpty { missing.formUnion(answer.missing) } else if answer.denies { best = rule }
        }
        if !missing.isEmpty { return .needs(missing) }
        return best.map { Verdict(effect: .audit, rule: RuleID(rawValue: UInt32($0))) }
    }

    // MARK: - Presets

    private func presetVerdict(_ operation: ObjectOperation) -> Verdict {
        var result = Verdict.allowed
        for index in presetStart..<(presetStart + presetCount) {
            let rule = Int(Self.word(ruleRefs, index))
            guard let applies = presetApplies(rule, operation) else {
                let wanted: FactSet = isTerminalBound(rule) ? [.process, .terminal] : .process
                return .needs(wanted.subtracting(operation.known))
            }
            guard applies else { continue }
            let id = RuleID(rawValue: UInt32(rule))
            if action(rule) != .audit { return Verdict(effect: .block, rule: id) }
            if result.effect == .allow { result = Verdict(effect: .audit, rule: id) }
        }
        return result
    }

    private func isTerminalBound(_ rule: Int) -> Bool {
        PresetCode(rawValue: Self.word(rules + rule &* 32, 6)) == .exec
    }

    /// `nil` when a fact is missing.
    private func presetApplies(_ rule: Int, _ operation: ObjectOperation) -> Bool? {
        let isProcess = operation.category == .process
        switch PresetCode(rawValue: Self.word(rules + rule &* 32, 6)) {
        case .filelessExec:
            guard isProcess else { return false }
            return Self.hasPrefix(operation.path, "/dev/shm/") || Self.hasPrefix(operation.path, "/run/shm/")
                || Self.hasNamePrefix(operation.path, "memfd:")
        case .exec:
            guard isProcess else { return false }
            guard operation.known.contains([.terminal, .process]) else { return nil }
            return operation.hasTerminal && operation.enteredWorkload
        case .protectEnv, .protectProc:
            guard !isProcess, let subject = Self.procSubject(operation.path) else { return false }
            let isEnvironment = Self.equals(subject.rest, "environ")
            if PresetCode(rawValue: Self.word(rules + rule &* 32, 6)) == .protectEnv && !isEnvironment { return false }
            guard operation.known.contains(.process) else { return nil }
            return subject.pid != UInt64(UInt32(bitPattern: operation.pid))
        case .anonymousMapExec, .notAPreset, nil: return false
        }
    }

    private static func hasPrefix(_ path: UnsafeRawBufferPointer, _ prefix: StaticString) -> Bool {
        guard path.count >= prefix.utf8CodeUnitCount else { return false }
        for index in 0..<prefix.utf8CodeUnitCount where path[index] != prefix.utf8Start[index] { return false }
        return true
    }

    private static func equals(_ text: UnsafeRawBufferPointer, _ other: StaticString) -> Bool {
        text.count == other.utf8CodeUnitCount && hasPrefix(text, other)
    }

    private static func hasNamePrefix(_ path: UnsafeRawBufferPointer, _ prefix: StaticString) -> Bool {
        let nameStart = path.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? 0
        return hasPrefix(UnsafeRawBufferPointer(rebasing: path[nameStart...]), prefix)
    }

    /// `/proc/<digits>/rest` with a rest.
    private static func procSubject(_ path: UnsafeRawBufferPointer) -> (pid: UInt64, rest: UnsafeRawBufferPointer)? {
        guard hasPrefix(path, "/proc/") else { return nil }
        var index = 6
        var pid: UInt64 = 0
        while index < path.count, path[index] >= 0x30, path[index] <= 0x39 {
            // No process has a number this long; it must not wrap around to the caller's.
            pid = pid > UInt64(UInt32.max) ? UInt64.max : pid * 10 + UInt64(path[index] - 0x30)
            index += 1
        }
        guard index > 6, index + 1 < path.count, path[index] == UInt8(ascii: "/") else { return nil }
        return (pid, UnsafeRawBufferPointer(rebasing: path[(index + 1)...]))
    }
}

/// The preset of a rule, as stored.
enum PresetCode: UInt32 {
    case notAPreset = 0
    case filelessExec, anonymousMapExec, protectEnv, protectProc, exec

    init(_ name: PresetName?) {
        switch name {
        case nil: self = .notAPreset
        case .filelessExec: self = .filelessExec
        case .anonymousMapExec: self = .anonymousMapExec
        case .protectEnv: self = .protectEnv
        case .protectProc: self = .protectProc
        case .exec: self = .exec
        }
    }
}

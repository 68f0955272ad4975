import PolicyModel

/// docs/semantics.md once more, as lists and linear scans, for the property test.
///
/// Nothing here is shared with `PolicyEngine`. A sentence of the contract is one loop here; where the engine has keys
/// that replace each other, this takes the last rule of the list that has the key.
struct ReferenceMatcher {
    let process: [ReferenceObjectRule]
    let file: [ReferenceObjectRule]
    let presets: [ReferencePreset]
    let network: ReferenceNetworkMatcher
    let postures: Postures

    init(policies: [Policy], postures: Postures) {
        process = policies.flatMap(\.process).flatMap(ReferenceObjectRule.stored(for:))
        file = policies.flatMap(\.file).flatMap(ReferenceObjectRule.stored(for:))
        presets = policies.flatMap(\.presets).map(ReferencePreset.init)
        network = ReferenceNetworkMatcher(policies: policies, postures: postures)
        self.postures = postures
    }

    func verdict(for operation: ReferenceOperation, coverage: inout ReferenceCoverage) -> ReferenceVerdict {
        switch operation.kind {
        case .process, .file: objectVerdict(operation, &coverage)
        case .networkProtocol: network.protocolVerdict(operation, &coverage)
        case .dns: network.dnsVerdict(operation, &coverage)
        case .capability: network.capabilityVerdict(operation, &coverage)
        case .syscall: network.syscallVerdict(operation, &coverage)
        }
    }

    // MARK: Process and file

    private func objectVerdict(
        _ operation: ReferenceOperation, _ coverage: inout ReferenceCoverage
    ) -> ReferenceVerdict {
        let preset = firingPreset(operation)
        if let preset, preset.blocks {
            coverage.note(preset.branch)
            return ReferenceVerdict(effect: .block, reason: .line(preset.line))
        }
        let rules = operation.kind == .process ? process : file
        let enforced = enforce(rules, operation, &coverage)
        let audited = audit(rules, operation, &coverage)
        if enforced.effect == .block {
            if audited != nil { coverage.note(.auditSuppressedByBlock) }
            if preset != nil { coverage.note(.presetSuppressedByRule) }
            return enforced
        }
        if let preset {
            coverage.note(preset.branch)
            if audited != nil { coverage.note(.presetBeforeAuditRule) }
            return ReferenceVerdict(effect: .audit, reason: .line(preset.line))
        }
        if let audited {
            if enforced.effect == .audit { coverage.note(.auditAfterDefaultPosture) }
            return ReferenceVerdict(effect: .audit, reason: .line(audited.line))
        }
        return enforced
    }

    private func enforce(
        _ all: [ReferenceObjectRule], _ operation: ReferenceOperation, _ coverage: inout ReferenceCoverage
    ) -> ReferenceVerdict {
        let rules = all.filter { $0.action != .audit }
        if let rule = decidingRule(rules, operation, &coverage) {
            return rule.denies(operation, as: rule.action, &coverage)
                ? ReferenceVerdict(effect: .block, reason: .line(rule.line))
                : ReferenceVerdict(effect: .allow, reason: .line(rule.line))
        }
        coverage.note(operation.kind == .process ? .processMiss : .fileMiss)
        return Self.miss(isAllowList: rules.contains { $0.action == .allow }, postures.file, &coverage)
    }

    /// What happens to an operation that no tier hits.
    static func miss(
        isAllowList: Bool, _ posture: Posture, _ coverage: inout ReferenceCoverage
    ) -> ReferenceVerdict {
        guard isAllowList else {
            coverage.note(.noAllowList)
            return .allow
        }
        switch posture {
        case .block:
            coverage.note(.postureBlock)
            return ReferenceVerdict(effect: .block, reason: .defaultPosture)
        case .audit:
            coverage.note(.postureAudit)
            return ReferenceVerdict(effect: .audit, reason: .defaultPosture)
        case .allow:
            coverage.note(.postureAllow)
            return .allow
        }
    }

    private func decidingRule(
        _ rules: [ReferenceObjectRule], _ operation: ReferenceOperation, _ coverage: inout ReferenceCoverage
    ) -> ReferenceObjectRule? {
        let isProcess = operation.kind == .process
        let path = operation.path
        let source = operation.source
        if let rule = exact(rules, path, source, &coverage) {
            coverage.note(isProcess ? .processExactSource : .fileExactSource)
            return rule
        }
        if let rule = directory(rules, path, source, &coverage) {
            coverage.note(isProcess ? .processDirectorySource : .fileDirectorySource)
            return rule
        }
        if let rule = exact(rules, path, nil, &coverage) {
            coverage.note(isProcess ? .processExact : .fileExact)
            return rule
        }
        if isProcess {
            let name = ReferencePath.lastComponent(of: path)
            if let rule = rules.last(where: { $0.kind == .execname && $0.text == name && $0.source == source }) {
                coverage.note(.processNameSource)
                return rule
            }
            if let rule = rules.last(where: { $0.kind == .execname && $0.text == name && $0.source == nil }) {
                coverage.note(.processName)
                return rule
            }
        }
        if let rule = pattern(rules, path, source, &coverage) {
            coverage.note(isProcess ? .processPattern : .filePattern)
            return rule
        }
        if let rule = directory(rules, path, nil, &coverage) {
            coverage.note(isProcess ? .processDirectory : .fileDirectory)
            return rule
        }
        return nil
    }

    private func exact(
        _ rules: [ReferenceObjectRule], _ path: [UInt8], _ source: [UInt8]?, _ coverage: inout ReferenceCoverage
    ) -> ReferenceObjectRule? {
        let hits = rules.filter { $0.source == source && $0.exactKey == path }
        if hits.count > 1 { coverage.note(.replacedKey) }
        if hits.last?.kind == .directory { coverage.note(.exactFromDirectory) }
        return hits.last
    }

    private func directory(
        _ rules: [ReferenceObjectRule], _ path: [UInt8], _ source: [UInt8]?, _ coverage: inout ReferenceCoverage
    ) -> ReferenceObjectRule? {
        let candidates = rules.filter { $0.kind == .directory && $0.source == source }
        if candidates.isEmpty { return nil }
        let ancestors = ReferencePath.ancestors(of: path)
        let parent = candidates.last { $0.text == ancestors.first }
        for ancestor in ancestors {
            if let rule = candidates.last(where: { $0.text == ancestor }), rule.isRecursive {
                coverage.note(.recursiveDirectory)
                if let parent, !parent.isRecursive { coverage.note(.shadowedByRecursive) }
                return rule
            }
        }
        if parent != nil { coverage.note(.nonRecursiveDirectory) }
        return parent
    }

    private func pattern(
        _ rules: [ReferenceObjectRule], _ path: [UInt8], _ source: [UInt8], _ coverage: inout ReferenceCoverage
    ) -> ReferenceObjectRule? {
        var matching: [ReferenceObjectRule] = []
        for (index, rule) in rules.enumerated() {
            guard rule.kind == .pattern, rule.source == nil || rule.source == source else { continue }
            let isReplaced = rules[(index + 1)...].contains {
                $0.kind == .pattern && $0.text == rule.text && $0.source == rule.source
            }
            if isReplaced { continue }
            if let glob = rule.glob, glob.matches(path) { matching.append(rule) }
        }
        if let block = matching.first(where: { $0.action == .block }) {
            if matching[0].action == .allow { coverage.note(.patternBlockBeforeAllow) }
            return block
        }
        return matching.first
    }

    // MARK: Audit

    private func audit(
        _ all: [ReferenceObjectRule], _ operation: ReferenceOperation, _ coverage: inout ReferenceCoverage
    ) -> ReferenceObjectRule? {
        let rules = all.filter { $0.action == .audit }
        if rules.isEmpty { return nil }
        var ignored = ReferenceCoverage()
        for (branch, candidates) in auditCandidates(rules, operation) {
            for rule in candidates {
                if rule.denies(operation, as: .block, &ignored) {
                    coverage.note(branch)
                    return rule
                }
                coverage.note(.auditNotFiring)
            }
        }
        return nil
    }

    /// The Audit rules whose subject and source match, tier by tier.
    private func auditCandidates(
        _ rules: [ReferenceObjectRule], _ operation: ReferenceOperation
    ) -> [(ReferenceBranch, [ReferenceObjectRule])] {
        let path = operation.path
        let source = operation.source
        let withSource = rules.filter { $0.source == source }
        let without = rules.filter { $0.source == nil }
        let name = ReferencePath.lastComponent(of: path)
        let isProcess = operation.kind == .process
        return [
            (.auditExactSource, withSource.filter { $0.exactKey == path }),
            (.auditDirectorySource, auditDirectories(withSource, path)),
            (.auditExact, without.filter { $0.exactKey == path }),
            (.auditNameSource, isProcess ? withSource.filter { $0.kind == .execname && $0.text == name } : []),
            (.auditName, isProcess ? without.filter { $0.kind == .execname && $0.text == name } : []),
            (
                .auditPattern,
                rules.filter {
                    ($0.source == nil || $0.source == source) && $0.kind == .pattern && $0.glob?.matches(path) == true
                }
            ),
            (.auditDirectory, auditDirectories(without, path)),
        ]
    }

    private func auditDirectories(_ rules: [ReferenceObjectRule], _ path: [UInt8]) -> [ReferenceObjectRule] {
        let directories = rules.filter { $0.kind == .directory }
        if directories.isEmpty { return [] }
        let ancestors = ReferencePath.ancestors(of: path)
        return ancestors.flatMap { ancestor in directories.filter { $0.isRecursive && $0.text == ancestor } }
            + directories.filter { !$0.isRecursive && $0.text == ancestors.first }
    }

    // MARK: Presets

    private func firingPreset(_ operation: ReferenceOperation) -> ReferencePreset? {
        var firing: [ReferencePreset] = []
        for (index, preset) in presets.enumerated() {
            let isReplaced = presets[(index + 1)...].contains { $0.name == preset.name }
            if !isReplaced && preset.fires(for: operation) { firing.append(preset) }
        }
        return firing.first { $0.blocks } ?? firing.first
    }
}

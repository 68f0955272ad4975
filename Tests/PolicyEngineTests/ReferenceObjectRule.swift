import PolicyModel

/// One stored entry of a process or file rule: the rule under one of its sources, or without a source.
struct ReferenceObjectRule {
    enum Kind { case path, execname, directory, pattern }

    let kind: Kind
    /// The subject as written.
    let text: [UInt8]
    let isRecursive: Bool
    let glob: ReferenceGlob?
    /// The path that hits this rule exactly; `nil` for names, patterns and `/`.
    let exactKey: [UInt8]?
    let source: [UInt8]?
    let allowedArguments: [[UInt8]]
    let terminal: Bool?
    let ownerOnly: Bool
    let readOnly: Bool
    let action: RuleAction
    let line: Int

    static func stored(for rule: ProcessRule) -> [ReferenceObjectRule] {
        sources(rule.sources).map {
            ReferenceObjectRule(
                subject: rule.subject, source: $0, allowedArguments: rule.allowedArguments.map { Array($0.utf8) },
                terminal: rule.terminal, ownerOnly: rule.ownerOnly, readOnly: false, action: rule.attributes.action,
                line: rule.position.line)
        }
    }

    static func stored(for rule: FileRule) -> [ReferenceObjectRule] {
        sources(rule.sources).map {
            ReferenceObjectRule(
                subject: rule.subject, source: $0, allowedArguments: [], terminal: rule.terminal,
                ownerOnly: rule.ownerOnly, readOnly: rule.readOnly, action: rule.attributes.action,
                line: rule.position.line)
        }
    }

    /// A rule is stored once per source, or once without a source.
    static func sources(_ sources: [String]) -> [[UInt8]?] {
        sources.isEmpty ? [nil] : sources.map { Array($0.utf8) }
    }

    private init(
        subject: PathSubject, source: [UInt8]?, allowedArguments: [[UInt8]], terminal: Bool?, ownerOnly: Bool,
        readOnly: Bool, action: RuleAction, line: Int
    ) {
        var isRecursive = false
        var glob: ReferenceGlob?
        switch subject {
        case .path(let path):
            kind = .path
            text = Array(path.utf8)
            exactKey = text
        case .execname(let name):
            kind = .execname
            text = Array(name.utf8)
            exactKey = nil
        case .directory(let path, let recursive):
            kind = .directory
            text = Array(path.utf8)
            exactKey = text.count > 1 ? Array(text.dropLast()) : nil
            isRecursive = recursive
        case .pattern(let pattern):
            kind = .pattern
            text = Array(pattern.utf8)
            exactKey = nil
            glob = ReferenceGlob(pattern)
        }
        self.isRecursive = isRecursive
        self.glob = glob
        self.source = source
        self.allowedArguments = allowedArguments
        self.terminal = terminal
        self.ownerOnly = ownerOnly
        self.readOnly = readOnly
        self.action = action
        self.line = line
    }

    /// Whether the rule, once it has been hit, denies the operation if its action were `action`.
    func denies(
        _ operation: ReferenceOperation, as action: RuleAction, _ coverage: inout ReferenceCoverage
    ) -> Bool {
        if operation.kind == .process, !allowedArguments.isEmpty {
            if hasOnlyAllowedArguments(operation.arguments) {
                coverage.note(.argumentsListed)
                return false
            }
            coverage.note(.argumentsNotListed)
        }
        if terminal == false {
            if operation.hasTerminal {
                coverage.note(.terminalDenied)
                return true
            }
            if action == .block {
                coverage.note(.terminalBlockSkipped)
                return false
            }
            coverage.note(.terminalPassed)
        }
        if ownerOnly {
            if !operation.isOwner {
                coverage.note(.ownerDenied)
                return true
            }
            let denied = readOnly && operation.isWrite
            coverage.note(denied ? .ownerReadOnlyDenied : .ownerAllowed)
            return denied
        }
        if readOnly {
            coverage.note(operation.isWrite ? .readOnlyDenied : .readOnlyAllowed)
            return operation.isWrite
        }
        coverage.note(action == .block ? .actionBlock : .actionAllow)
        return action == .block
    }

    private func hasOnlyAllowedArguments(_ arguments: [[UInt8]]) -> Bool {
        if arguments.count == 1 { return allowedArguments.contains(arguments[0]) }
        return (2...20).contains(arguments.count) && arguments.dropFirst().allSatisfy(allowedArguments.contains)
    }
}

/// A preset as written in a policy.
struct ReferencePreset {
    let name: PresetName
    let blocks: Bool
    let line: Int

    init(_ rule: PresetRule) {
        name = rule.name
        blocks = rule.attributes.action != .audit
        line = rule.position.line
    }

    /// The coverage counter of a verdict by this preset.
    var branch: ReferenceBranch {
        switch name {
        case .filelessExec, .anonymousMapExec: blocks ? .filelessBlock : .filelessAudit
        case .protectEnv: blocks ? .environBlock : .environAudit
        case .protectProc: blocks ? .procBlock : .procAudit
        case .exec: blocks ? .execBlock : .execAudit
        }
    }

    func fires(for operation: ReferenceOperation) -> Bool {
        let isProcess = operation.kind == .process
        switch name {
        case .filelessExec:
            return isProcess
                && (operation.path.starts(with: Array("/dev/shm/".utf8))
                    || operation.path.starts(with: Array("/run/shm/".utf8))
                    || ReferencePath.lastComponent(of: operation.path).starts(with: Array("memfd:".utf8)))
        case .protectEnv:
            guard !isProcess, let entry = ReferencePath.processEntry(operation.path) else { return false }
            return entry.rest == Array("/environ".utf8) && entry.digits != Array(String(operation.pid).utf8)
        case .protectProc:
            guard !isProcess, let entry = ReferencePath.processEntry(operation.path) else { return false }
            return entry.digits != Array(String(operation.pid).utf8)
        case .exec:
            return isProcess && operation.hasTerminal && operation.enteredWorkload
        case .anonymousMapExec:
            return false
        }
    }
}

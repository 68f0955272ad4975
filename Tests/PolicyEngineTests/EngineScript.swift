import PolicyModel
import Testing

@testable import PolicyEngine

/// Rules and operations in one line each, so that a test is a table.
///
/// Rules are numbered from 1 in the order written: `block file /etc/passwd from=/bin/a,/bin/b ro owner notty`. A subject is a
/// path, a directory (`/d/`, recursive as `/d/...`), `name:x` or `glob:x`; arguments as `args=a,b`. Others: `audit tcp`,
/// `block dns x.y`, `block cap 13`, `audit call mount path=/d/... from=/b/`, `block preset exec`. `---` begins another policy.
///
/// Operations: `file /p w owner tty from=/bin/a pid=7`, `process /p setns args=x,y`, `socket 1 6`, `socket 1 0 unix`,
/// `dns a.b`, `cap 13`, `call mount /p`. All facts are known, except those behind `?`: `?source,write`, or `?all`.
struct EngineScript {
    let compiled: CompiledSnapshot

    init(
        _ rules: [String], postures: Postures = Postures(file: .block, network: .block, capabilities: .block),
        aliases: [PathAlias] = [], limits: CompilerLimits = CompilerLimits(),
        seed: UInt64 = .random(in: .min ... .max)
    ) throws {
        var policies = [Policy(kind: .host, name: "p1", position: Self.position(0))]
        for (index, text) in rules.enumerated() {
            if text == "---" {
                policies.append(Policy(kind: .host, name: "p\(policies.count + 1)", position: Self.position(index + 1)))
            } else {
                try Self.add(text, Self.position(index + 1), &policies[policies.count - 1])
            }
        }
        compiled = try SnapshotCompiler(limits: limits, seed: seed).compile(
            policies: policies, postures: postures, aliases: aliases, generation: 9)
    }

    struct BadLine: Error { let text: String }

    static func position(_ line: Int) -> SourcePosition { SourcePosition(file: "p.yaml", line: line, column: 3) }

    // MARK: - Rules

    private static func add(_ text: String, _ position: SourcePosition, _ policy: inout Policy) throws {
        let words = text.split(separator: " ").map(String.init)
        guard words.count >= 2, let action = RuleAction.allCases.first(where: { $0.name.lowercased() == words[0] })
        else { throw BadLine(text: text) }
        let attributes = RuleAttributes(action: action)
        let options = words.dropFirst(words[1] == "tcp" || ProtocolName(rawValue: words[1]) != nil ? 2 : 3)
        let sources = list("from=", options)
        let notTerminal: Bool? = options.contains("notty") ? false : options.contains("tty") ? true : nil
        switch words[1] {
        case "file":
            var rule = FileRule(subject: subject(words[2]), attributes: attributes, position: position)
            rule.sources = sources
            rule.readOnly = options.contains("ro")
            rule.ownerOnly = options.contains("owner")
            rule.terminal = notTerminal
            policy.file.append(rule)
        case "process":
            var rule = ProcessRule(subject: subject(words[2]), attributes: attributes, position: position)
            rule.sources = sources
            rule.allowedArguments = list("args=", options)
            rule.ownerOnly = options.contains("owner")
            rule.terminal = notTerminal
            policy.process.append(rule)
        case "dns":
            var rule = DNSRule(domain: words[2], attributes: attributes, position: position)
            rule.sources = sources
            policy.dns.append(rule)
        case "cap":
            guard let number = UInt8(words[2]) else { throw BadLine(text: text) }
            var rule = CapabilityRule(capability: number, name: words[2], attributes: attributes, position: position)
            rule.sources = sources
            policy.capabilities.append(rule)
        case "call":
            let path = list("path=", options).first.map(directory)
            var rule = SyscallRule(
                syscalls: words[2].split(separator: ",").map(String.init), path: path?.text, attributes: attributes,
                position: position)
            rule.recursive = path?.isRecursive ?? false
            rule.sources = sources.map(directory).map { .init(path: $0.text, recursive: $0.isRecursive) }
            policy.syscalls.append(rule)
        case "preset":
            guard let name = PresetName(rawValue: words[2]) else { throw BadLine(text: text) }
            policy.presets.append(PresetRule(name: name, attributes: attributes, position: position))
        default:
            guard let name = ProtocolName(rawValue: words[1]) else { throw BadLine(text: text) }
            var rule = ProtocolRule(name: name, attributes: attributes, position: position)
            rule.sources = sources
            rule.terminal = notTerminal
            policy.protocols.append(rule)
        }
    }

    private static func subject(_ text: String) -> PathSubject {
        if text.hasPrefix("name:") { return .execname(String(text.dropFirst(5))) }
        if text.hasPrefix("glob:") { return .pattern(String(text.dropFirst(5))) }
        let (name, isRecursive) = directory(text)
        return name.hasSuffix("/") ? .directory(name, recursive: isRecursive) : .path(name)
    }

    private static func directory(_ text: String) -> (text: String, isRecursive: Bool) {
        text.hasSuffix("/...") ? (String(text.dropLast(3)), true) : (text, false)
    }

    private static func list(_ prefix: String, _ words: some Sequence<String>) -> [String] {
        guard let word = words.first(where: { $0.hasPrefix(prefix) }) else { return [] }
        return word.dropFirst(prefix.count).split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }

    // MARK: - Verdicts

    /// `allow 3`, `audit default`, `block limit`, `allow`, `needs source,write`.
    func ask(_ text: String) throws -> String {
        try compiled.bytes.withUnsafeBytes { bytes in
            try describe(Self.verdict(text, try Snapshot(validating: bytes)))
        }
    }

    private func describe(_ verdict: Verdict) throws -> String {
        guard verdict.isDecided else { return "needs " + Self.names(verdict.missing) }
        switch verdict.rule {
        case .none: return "\(verdict.effect)"
        case .defaultPosture: return "\(verdict.effect) default"
        case .patternLimit: return "\(verdict.effect) limit"
        default: return "\(verdict.effect) \(compiled.rules[Int(verdict.rule.rawValue)].position.line)"
        }
    }

    private static let factNames: [(String, FactSet)] = [
        ("source", .source), ("write", .write), ("ownership", .ownership), ("terminal", .terminal),
        ("arguments", .arguments), ("process", .process),
    ]

    private static func names(_ facts: FactSet) -> String {
        factNames.filter { facts.contains($0.1) }.map(\.0).joined(separator: ",")
    }

    private static func verdict(_ text: String, _ snapshot: Snapshot) throws -> Verdict {
        let words = text.split(separator: " ").map(String.init)
        var known = FactSet(factNames.map(\.1))
        if let unknown = words.first(where: { $0.hasPrefix("?") }) {
            for (name, fact) in factNames
            where unknown == "?all" || unknown.dropFirst().split(separator: ",").contains(Substring(name)) {
                known.remove(fact)
            }
        }
        let source = Array((list("from=", words).first ?? "").utf8)
        return try withBytes(source) { source in
            let knownSource = known.contains(.source) ? source : nil
            switch words[0] {
            case "file", "process":
                let arguments: [UInt8] = list("args=", words).flatMap { [UInt8]($0.utf8) + [0] }
                return try withBytes(Array(words[1].utf8)) { path in
                    try withBytes(arguments) { arguments in
                        var operation = ObjectOperation(category: words[0] == "file" ? .file : .process, path: path)
                        operation.known = known
                        operation.source = source
                        operation.isWrite = words.contains("w")
                        operation.isOwner = words.contains("owner")
                        operation.hasTerminal = words.contains("tty")
                        operation.enteredWorkload = words.contains("setns")
                        operation.pid = list("pid=", words).first.flatMap { Int32($0) } ?? 1
                        operation.arguments = arguments
                        return snapshot.verdict(for: operation)
                    }
                }
            case "socket":
                guard let type = Int32(words[1]), let number = Int32(words[2]) else { throw BadLine(text: text) }
                return snapshot.protocolVerdict(
                    type: type, protocolNumber: number, isInternet: !words.contains("unix"), source: knownSource,
                    hasTerminal: known.contains(.terminal) ? words.contains("tty") : nil)
            case "dns":
                return try withBytes(Array(words[1].utf8)) { snapshot.dnsVerdict(name: $0, source: knownSource) }
            case "cap":
                guard let number = UInt8(words[1]) else { throw BadLine(text: text) }
                return snapshot.capabilityVerdict(number, source: knownSource)
            case "call":
                return try withBytes(Array(words[1].utf8)) { name in
                    guard words.count > 2, words[2].hasPrefix("/") else {
                        return snapshot.syscallVerdict(name: name, path: nil, source: knownSource)
                    }
                    return try withBytes(Array(words[2].utf8)) {
                        snapshot.syscallVerdict(name: name, path: $0, source: knownSource)
                    }
                }
            case "refuse":
                return try withBytes(Array(words[1].utf8)) {
                    snapshot.blockedCallVerdict(name: $0, source: knownSource)
                }
            default: throw BadLine(text: text)
            }
        }
    }

    private static func withBytes<Result>(
        _ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        try bytes.withUnsafeBytes { try body($0) }
    }
}

/// One row of a table: the sentence of docs/semantics.md it holds, rules, and answers.
struct SemanticsRow: CustomTestStringConvertible, Sendable {
    let id: String
    let rules: [String]
    var posture = Posture.block
    let answers: [(operation: String, verdict: String)]

    var testDescription: String { id }

    init(_ id: String, _ rules: [String], posture: Posture = .block, _ answers: [(String, String)]) {
        self.id = id
        self.rules = rules
        self.posture = posture
        self.answers = answers.map { (operation: $0.0, verdict: $0.1) }
    }

    /// The answers that are not the expected ones.
    func wrongAnswers() throws -> [String] {
        let script = try EngineScript(
            rules, postures: Postures(file: posture, network: posture, capabilities: posture))
        return try answers.compactMap { operation, expected in
            let verdict = try script.ask(operation)
            return verdict == expected ? nil : "\(operation): \(verdict), expected \(expected)"
        }
    }
}

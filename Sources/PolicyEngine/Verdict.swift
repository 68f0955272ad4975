import PolicyModel

/// What kind of operation a rule is about. The first five have an allow-list switch each.
public enum Category: UInt8, Sendable, CaseIterable {
    case process, file, networkProtocol, dns, capability, syscall
}

/// What happens to an operation, ordered by strictness.
public enum Effect: UInt8, Sendable {
    case allow, audit, block
}

/// A rule of one snapshot: its index in `CompiledSnapshot.rules`.
public struct RuleID: RawRepresentable, Hashable, Sendable {
    /// The bits, as stored.
    public var rawValue: UInt32
    /// Wraps the stored bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// No rule.
    public static let none = RuleID(rawValue: 0xFFFF_FFFF)
    /// The default posture of an allow-listed category.
    public static let defaultPosture = RuleID(rawValue: 0xFFFF_FFFE)
}

/// Facts of an operation that cost something to find out.
public struct FactSet: OptionSet, Sendable {
    /// The bits, as stored.
    public let rawValue: UInt8
    /// Wraps the stored bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// The executable that `fromSource` is compared with.
    public static let source = FactSet(rawValue: 1)
    /// Whether there is write intent.
    public static let write = FactSet(rawValue: 2)
    /// Whether the caller owns the object.
    public static let ownership = FactSet(rawValue: 4)
    /// Whether the caller has a controlling terminal.
    public static let terminal = FactSet(rawValue: 8)
    /// argv.
    public static let arguments = FactSet(rawValue: 16)
    /// The caller's process id, and whether it entered the workload.
    public static let process = FactSet(rawValue: 32)
}

/// An answer of the engine: decided, or the facts that it depends on.
public struct Verdict: Equatable, Sendable {
    /// What happens; meaningless while facts are missing.
    public var effect: Effect
    /// The rule that says so.
    public var rule: RuleID
    /// Facts to be found out before asking again; empty when decided.
    public var missing: FactSet

    /// Creates a verdict.
    public init(effect: Effect, rule: RuleID, missing: FactSet = []) {
        self.effect = effect
        self.rule = rule
        self.missing = missing
    }

    /// Nothing is missing.
    public var isDecided: Bool { missing.isEmpty }

    static let allowed = Verdict(effect: .allow, rule: .none)
    static func needs(_ facts: FactSet) -> Verdict { Verdict(effect: .block, rule: .none, missing: facts) }
}

/// A process or file operation. Borrows the caller's buffers for the length of a call.
public struct ObjectOperation {
    /// `.process` or `.file`.
    public var category: Category
    /// Absolute path, without trailing slash except `/`.
    public var path: UnsafeRawBufferPointer
    /// Which of the following are filled.
    public var known: FactSet = []
    /// Executable of the parent (process) or of the caller (file).
    public var source = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The open has write intent.
    public var isWrite = false
    /// fsuid is the object's owner.
    public var isOwner = false
    /// The caller has a controlling terminal.
    public var hasTerminal = false
    /// The caller came into the workload by setns.
    public var enteredWorkload = false
    /// The caller's thread group id.
    public var pid: Int32 = 0
    /// argv as NUL-terminated strings one after the other.
    public var arguments = UnsafeRawBufferPointer(start: nil, count: 0)

    /// An operation of which only category and path are known.
    public init(category: Category, path: UnsafeRawBufferPointer) {
        self.category = category
        self.path = path
    }
}

/// Circumstances of an event.
public struct EventFlags: OptionSet, Sendable, Hashable {
    /// Bits as in the record; unknown ones are kept.
    public let rawValue: UInt32

    /// Makes flags from their bits.
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// The path was read from the process's memory or namespace and is only its own word.
    public static let pathUntrusted = EventFlags(rawValue: 1 << 0)
    /// The rule matched the object's identity, not the name it was opened by.
    public static let matchedByObject = EventFlags(rawValue: 1 << 1)
    /// Fields were shortened to fit the record.
    public static let truncated = EventFlags(rawValue: 1 << 2)
    /// The deadline answered, not the rule.
    public static let deniedByDeadline = EventFlags(rawValue: 1 << 3)
    /// The default posture decided, no rule.
    public static let defaultPosture = EventFlags(rawValue: 1 << 4)
    /// A preset decided.
    public static let preset = EventFlags(rawValue: 1 << 5)
    /// The open flags are not known; write intent was assumed.
    public static let openFlagsUnknown = EventFlags(rawValue: 1 << 6)
    /// The process was gone before its identity was read.
    public static let identityIncomplete = EventFlags(rawValue: 1 << 7)
    /// The failure table decided, not a rule.
    public static let failurePolicy = EventFlags(rawValue: 1 << 8)
    /// The rule or posture would have refused it, and it went through all the same: this mechanism cannot hold it.
    public static let unenforced = EventFlags(rawValue: 1 << 9)
}

/// `capabilities.matchCapabilities[]`, one capability each.
public struct CapabilityRule: Sendable, Hashable {
    /// Kernel number (`linux/capability.h`), 0…40.
    public var capability: UInt8
    /// Lower-case name without `cap_`.
    public var name: String
    /// Executables of the calling process for which the rule holds; empty: for all.
    public var sources: [String] = []
    /// Severity, tags, message, action.
    public var attributes: RuleAttributes
    /// Where the rule is written.
    public var position: SourcePosition
    /// Creates a rule for every source.
    public init(capability: UInt8, name: String, attributes: RuleAttributes, position: SourcePosition) {
        self.capability = capability
        self.name = name
        self.attributes = attributes
        self.position = position
    }
}

/// An entry of `syscalls.matchSyscalls` (`path` is `nil`) or `syscalls.matchPaths`. Always Audit upstream; here an entry of
/// `matchSyscalls` may have an action of its own, Audit or Block.
public struct SyscallRule: Sendable, Hashable {
    /// System call names as written.
    public var syscalls: [String]
    /// File path, or directory with a trailing slash; `nil` for `matchSyscalls`.
    public var path: String?
    /// `path` covers everything below it.
    public var recursive: Bool = false
    /// Callers for which the rule holds; empty: for all.
    public var sources: [Source] = []
    /// Severity, tags, message; action is Audit, or Block where the entry itself says so.
    public var attributes: RuleAttributes
    /// Where the rule is written.
    public var position: SourcePosition
    /// Creates a rule for every source.
    public init(syscalls: [String], path: String?, attributes: RuleAttributes, position: SourcePosition) {
        self.syscalls = syscalls
        self.path = path
        self.attributes = attributes
        self.position = position
    }

    /// A caller: an executable, or a directory of executables.
    public struct Source: Sendable, Hashable {
        /// Executable path or directory with a trailing slash.
        public var path: String
        /// For a directory: everything below it.
        public var recursive: Bool
        /// Creates a source.
        public init(path: String, recursive: Bool = false) {
            self.path = path
            self.recursive = recursive
        }
    }
}

/// The presets the daemon knows.
public enum PresetName: String, Sendable, Hashable, CaseIterable {
    case filelessExec, anonymousMapExec, protectEnv, protectProc, exec
}

/// An entry of `presets`.
public struct PresetRule: Sendable, Hashable {
    /// Which preset.
    public var name: PresetName
    /// Severity, tags and message of the policy; action of the item (Audit audits, anything else blocks).
    public var attributes: RuleAttributes
    /// Where the rule is written.
    public var position: SourcePosition
    /// Creates a preset rule.
    public init(name: PresetName, attributes: RuleAttributes, position: SourcePosition) {
        self.name = name
        self.attributes = attributes
        self.position = position
    }
}

/// An entry of `device.matchDevice` (HSP).
public struct DeviceRule: Sendable, Hashable {
    /// USB class number; `nil` means `ALL`.
    public var usbClass: Int?
    /// USB subclass.
    public var subClass: Int?
    /// USB protocol.
    public var protocolNumber: Int?
    /// Depth in the hub tree, at least 1.
    public var level: Int?
    /// Severity, tags, message, action.
    public var attributes: RuleAttributes
    /// Where the rule is written.
    public var position: SourcePosition
    /// Creates a rule for a class.
    public init(usbClass: Int?, attributes: RuleAttributes, position: SourcePosition) {
        self.usbClass = usbClass
        self.attributes = attributes
        self.position = position
    }
}

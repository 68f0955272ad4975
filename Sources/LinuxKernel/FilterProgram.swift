import CLinux
import CSeccomp

/// A seccomp program, built by libseccomp.
public struct FilterProgram: Sendable, Equatable {
    /// `struct sock_filter` values.
    public let instructions: [UInt8]
    /// libseccomp's pseudo code of it, for people and tests.
    public let text: String

    /// What happens to a call.
    public enum Action: Sendable, Hashable {
        /// It goes on.
        case allow
        /// It is held and reported to the listener.
        case notify
        /// It fails with this errno.
        case errno(Int32)

        fileprivate var raw: pc_filter_action {
            switch self {
            case .allow: pc_filter_action(kind: UInt32(PC_FILTER_ALLOW.rawValue), error: 0)
            case .notify: pc_filter_action(kind: UInt32(PC_FILTER_NOTIFY.rawValue), error: 0)
            case .errno(let code):
                pc_filter_action(kind: UInt32(PC_FILTER_ERRNO.rawValue), error: UInt32(bitPattern: code))
            }
        }
    }

    /// A condition on one register.
    public struct Comparison: Sendable, Hashable {
        /// How the register is compared.
        public enum Relation: Sendable, Hashable {
            /// The bits of the mask are those of the value.
            case bits
            /// It is not the value, as a whole.
            case differs
            /// It is the value at most, as a whole.
            case atMost
        }

        /// How it is compared.
        public var relation = Relation.bits
        /// 0 to 5.
        public var argument: Int
        /// The bits that are looked at.
        public var mask: UInt64
        /// What they must be.
        public var value: UInt64

        /// The bits of `mask` in `argument` are those of `value`.
        public init(argument: Int, mask: UInt64 = .max, value: UInt64) {
            self.argument = argument
            self.mask = mask
            self.value = value
        }

        /// `argument` is not `value`.
        public static func differs(_ argument: Int, from value: UInt64) -> Comparison {
            var result = Comparison(argument: argument, value: value)
            result.relation = .differs
            return result
        }

        /// `argument` is `value` at most.
        public static func atMost(_ argument: Int, _ value: UInt64) -> Comparison {
            var result = Comparison(argument: argument, value: value)
            result.relation = .atMost
            return result
        }

        fileprivate var raw: pc_filter_comparison {
            let relation =
                switch self.relation {
                case .bits: PC_FILTER_BITS
                case .differs: PC_FILTER_DIFFERS
                case .atMost: PC_FILTER_AT_MOST
                }
            return pc_filter_comparison(
                argument: UInt32(argument), relation: UInt32(relation.rawValue), mask: mask, value: value)
        }
    }

    /// What happens to a call whose registers satisfy all comparisons. Rules of one call are alternatives.
    public struct Rule: Sendable, Hashable {
        /// The call's name.
        public var name: String
        /// What happens.
        public var action: Action
        /// At most four, each about another argument.
        public var comparisons: [Comparison]
        /// libseccomp may be too old to know the call: then `knownCalls()` refuses it.
        public var mayBeUnknown = false

        /// Creates a rule.
        public init(_ name: String, _ action: Action, _ comparisons: [Comparison] = [], mayBeUnknown: Bool = false) {
            self.mayBeUnknown = mayBeUnknown
            self.name = name
            self.action = action
            self.comparisons = comparisons
        }
    }

    /// Builds a program for the native architecture and its 32-bit companion. Other architectures and x32 kill the process.
    ///
    /// - Throws: ENOENT for a name that libseccomp does not know, EINVAL for rules that contradict each other.
    public init(rules: [Rule], otherwise: Action) throws(KernelError) {
        let names = CStringArray(rules.map(\.name))
        var raw: [pc_filter_rule] = []
        for (index, rule) in rules.enumerated() {
            guard let name = names.pointers[index], rule.comparisons.count <= 4 else {
                throw KernelError("build a filter", errno: 22)
            }
            var entry = pc_filter_rule()
            entry.name = UnsafePointer(name)
            entry.action = rule.action.raw
            entry.may_be_unknown = rule.mayBeUnknown ? 1 : 0
            entry.comparison_count = UInt32(rule.comparisons.count)
            withUnsafeMutableBytes(of: &entry.comparisons) { bytes in
                let slots = bytes.bindMemory(to: pc_filter_comparison.self)
                for (slot, comparison) in rule.comparisons.enumerated() {
                    slots[slot] = comparison.raw
                }
            }
            raw.append(entry)
        }
        self = try Self.exported { program, text in
            withExtendedLifetime(names) { pc_filter_build(raw, UInt32(raw.count), otherwise.raw, program, text) }
        }
    }

    /// The program that gives ENOSYS for every call that libseccomp has no name for: a rule could not be about it.
    public static func knownCalls() throws(KernelError) -> FilterProgram {
        try exported { pc_filter_build_known_calls($0, $1) }
    }

    /// The name of a call on an architecture (AUDIT_ARCH_*), by libseccomp's tables; `nil` where there is none.
    public static func name(of number: Int32, architecture: UInt32) -> String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { text in
            guard let base = text.baseAddress, pc_filter_call_name(architecture, number, base, 64) == 0 else {
                return nil
            }
            return String(cString: base)
        }
    }

    private init(instructions: [UInt8], text: String) {
        self.instructions = instructions
        self.text = text
    }

    private static func exported(_ build: (Int32, Int32) -> Int32) throws(KernelError) -> FilterProgram {
        let program = try memoryFile()
        let text = try memoryFile()
        try KernelError.check("build a filter", build(program.raw, text.raw))
        return FilterProgram(
            instructions: try contents(program), text: String(decoding: try contents(text), as: UTF8.self))
    }

    /// libseccomp writes to files only.
    private static func memoryFile() throws(KernelError) -> Descriptor {
        Descriptor(owning: try KernelError.check("memfd_create", pc_memfd_create("portcullis-filter", 0)))
    }

    private static func contents(_ file: borrowing Descriptor) throws(KernelError) -> [UInt8] {
        try PathOpening.open("/proc/self/fd/\(file.raw)", flags: OpenFlags.readOnly).readAll(limit: 1 << 22)
    }
}

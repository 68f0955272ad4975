/// What /proc/<tid>/stat tells that status does not.
public struct ProcessStat: Equatable, Sendable {
    /// The name.
    public var comm = ProcessName()
    /// One letter: R, S, D, Z, T, t, X, I.
    public var state: UInt8 = 0
    /// The parent process.
    public var ppid: Int32 = 0
    /// The process group.
    public var processGroup: Int32 = 0
    /// The session.
    public var session: Int32 = 0
    /// The controlling terminal's device number as the kernel encodes it; 0 for none.
    public var ttyNumber: Int32 = 0
    /// PF_* of the kernel; 0x200000 is PF_KTHREAD.
    public var flags: UInt32 = 0
    /// Threads of the process; 1 also for a process that is ending as a whole.
    public var threadCount: Int32 = 0
    /// Ticks after boot (sysconf(_SC_CLK_TCK), 100 a second): with the pid it names a process for good.
    public var startTime: UInt64 = 0

    /// All zero.
    public init() {}

    /// Parses the line; nil if it is not one. The name may hold blanks, parentheses and newlines: it ends at the last
    /// parenthesis.
    init?(_ line: UnsafeRawBufferPointer) {
        guard let open = line.firstIndex(of: UInt8(ascii: "(")), let close = line.lastIndex(of: UInt8(ascii: ")")),
            open < close
        else { return nil }
        for byte in line[(open + 1)..<close] { comm.append(byte) }
        var rest = UnsafeRawBufferPointer(rebasing: line[(close + 1)...])
        guard let stateField = ByteText.nextField(&rest), let letter = stateField.first else { return nil }
        state = letter
        // Field 4 is the first after the state.
        var field = 4
        while field <= 22 {
            guard let text = ByteText.nextField(&rest), let value = ByteText.signed(text) else { return nil }
            switch field {
            case 4: ppid = Int32(truncatingIfNeeded: value)
            case 5: processGroup = Int32(truncatingIfNeeded: value)
            case 6: session = Int32(truncatingIfNeeded: value)
            case 7: ttyNumber = Int32(truncatingIfNeeded: value)
            case 9: flags = UInt32(truncatingIfNeeded: value)
            case 20: threadCount = Int32(truncatingIfNeeded: value)
            case 22: startTime = UInt64(bitPattern: value)
            default: break
            }
            field += 1
        }
    }

    /// PF_KTHREAD.
    public var isKernelThread: Bool { flags & 0x20_0000 != 0 }

    /// The terminal's name: "pts0", "tty1", "ttyS0", "console"; nil for
    /// none or one that is not a usual terminal. Allocates.
    public var terminalName: String? { Self.terminalName(of: ttyNumber) }

    /// The name of a terminal by the kernel's encoded device number (major in bits 8 to 19, minor in the rest).
    public static func terminalName(of number: Int32) -> String? {
        let bits = UInt32(bitPattern: number)
        let major = bits >> 8 & 0xfff
        let minor = bits & 0xff | bits >> 12 & 0xfff00
        switch major {
        case 136...143: return "pts\((major - 136) * 256 + minor)"
        case 4: return minor < 64 ? "tty\(minor)" : "ttyS\(minor - 64)"
        case 5: return minor == 1 ? "console" : minor == 0 ? "tty" : nil
        case 204 where minor >= 64 && minor < 80: return "ttyAMA\(minor - 64)"
        case 229: return "hvc\(minor)"
        default: return nil
        }
    }
}

import LinuxKernel

/// The names and numbers of system calls, on each architecture that a filter lets through, by libseccomp's tables.
enum CallNames {
    /// The native architecture and its 32-bit companion.
    static let architectures: [Architecture] = Architecture.native == .x86_64 ? [.x86_64, .i386] : [.native]
    /// Above every number in use.
    static let limit = 1024

    /// Without these nothing would end, or a signal's handler never return.
    private static let never: Set<String> = [
        "exit", "exit_group", "rt_sigreturn", "sigreturn", "restart_syscall", "seccomp",
    ]

    /// By architecture and number; empty where there is no call.
    static let table: [[String]] = architectures.map { architecture in
        (0..<Int32(limit)).map { FilterProgram.name(of: $0, architecture: architecture.rawValue) ?? "" }
    }

    /// Names of the calls that can be asked about.
    static let all: Set<String> = Set(table.joined()).subtracting(never).subtracting([""])

    /// Names of all calls.
    static let everyName: Set<String> = Set(table.joined()).subtracting([""])

    /// Where a name is a call.
    static func numbers(of name: String) -> [(architecture: UInt32, number: Int32)] {
        zip(architectures, table).compactMap { architecture, names in
            names.firstIndex(of: name).map { (architecture.rawValue, Int32($0)) }
        }
    }
}

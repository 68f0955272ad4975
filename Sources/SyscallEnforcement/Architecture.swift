/// The calling convention of a system call, as seccomp(2) reports it (`AUDIT_ARCH_*`, linux/audit.h).
public enum Architecture: UInt32, Sendable, CaseIterable {
    /// AUDIT_ARCH_X86_64; also x32, which differs by bit 30 of the number.
    case x86_64 = 0xC000_003E
    /// AUDIT_ARCH_I386.
    case i386 = 0x4000_0003
    /// AUDIT_ARCH_AARCH64.
    case aarch64 = 0xC000_00B7

    /// What this program was built for.
    public static var native: Architecture {
        #if arch(x86_64)
            .x86_64
        #else
            .aarch64
        #endif
    }
}

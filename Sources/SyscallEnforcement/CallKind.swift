/// What a notified call is, by architecture and number.
enum CallKind: Sendable, Equatable {
    /// socket(2) or socketpair(2).
    case socket
    /// Nothing that a filter of ours asks about.
    case unknown

    /// Numbers: arch/x86/entry/syscalls, include/uapi/asm-generic/unistd.h.
    init(_ architecture: UInt32, _ number: Int32) {
        switch (Architecture(rawValue: architecture), number) {
        case (.x86_64, 41), (.x86_64, 53), (.i386, 359), (.i386, 360), (.aarch64, 198), (.aarch64, 199): self = .socket
        default: self = .unknown
        }
    }
}

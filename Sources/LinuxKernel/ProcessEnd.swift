import CLinux

/// How a process ended.
public enum ProcessEnd: Equatable, Sendable {
    /// exit(3) with this status.
    case exited(Int32)
    /// Ended by this signal.
    case killed(Int32)

    init(_ raw: pc_exit) { self = raw.code == 1 ? .exited(raw.status) : .killed(raw.status) }
}

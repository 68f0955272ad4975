import CLinux

/// The system call that a thread waits in, as seccomp_unotify(2) reports it: registers only.
public struct SystemCallNotification: Sendable {
    private var raw = pc_notification()

    /// An empty one, to be filled by `SystemCallListener.receive`.
    public init() {}

    /// The kernel's number of this notification.
    public var id: UInt64 { raw.id }
    /// The waiting thread, in our pid namespace; 0 when it is in one that we do not see.
    public var thread: Int32 { Int32(bitPattern: raw.thread) }
    /// The call's number in its architecture.
    public var number: Int32 { raw.number }
    /// AUDIT_ARCH_*.
    public var architecture: UInt32 { raw.architecture }

    /// One of the six argument registers.
    public func argument(_ index: Int) -> UInt64 {
        switch index {
        case 0: raw.arguments.0
        case 1: raw.arguments.1
        case 2: raw.arguments.2
        case 3: raw.arguments.3
        case 4: raw.arguments.4
        default: raw.arguments.5
        }
    }

    /// Whether another notification is of the same thread, from the same place, with the same registers: the call made again.
    public func isSameCall(as other: SystemCallNotification) -> Bool {
        raw.thread == other.raw.thread && raw.number == other.raw.number && raw.architecture == other.raw.architecture
            && raw.instruction_pointer == other.raw.instruction_pointer && raw.arguments == other.raw.arguments
    }

    fileprivate mutating func receive(_ listener: Int32) -> Int32 { pc_listener_receive(listener, &raw) }
}

/// seccomp_unotify(2) without allocation. Results are 0 or a negated errno; -ENOENT: nobody waits any more.
public enum SystemCallListener {
    /// Whether this kernel has listeners that can hand descriptors over (Linux 5.9), found out on one of a child's.
    public static var isSupported: Bool { pc_seccomp_addfd_probe() == 0 }

    /// Whether a signal cannot call a thread away from a notification that was taken, if its filter asks for it (Linux 5.19).
    public static let canWaitKillably = pc_seccomp_flag_known(1 << 5 | 1 << 3) == 0

    /// Takes the next notification.
    public static func receive(_ listener: Int32, into notification: inout SystemCallNotification) -> Int32 {
        notification.receive(listener)
    }

    /// Ends the call with a result, a negative one being an errno.
    public static func finish(_ listener: Int32, _ id: UInt64, result: Int) -> Int32 {
        result < 0
            ? pc_listener_respond(listener, id, 0, Int32(truncatingIfNeeded: result), 0)
            : pc_listener_respond(listener, id, Int64(result), 0, 0)
    }

    /// Lets the kernel perform the call. Only for a decision that rested on nothing but registers: memory that was read can
    /// change before the kernel reads it again (seccomp_unotify(2)).
    public static func proceed(_ listener: Int32, _ id: UInt64, because proof: RegisterProof) -> Int32 {
        pc_listener_respond(listener, id, 0, 0, 1)
    }

    /// Whether the thread still waits: what was read about it after that is about it.
    public static func isWaiting(_ listener: Int32, _ id: UInt64) -> Bool { pc_listener_is_valid(listener, id) == 0 }

    /// Ends the call with a descriptor: a copy of ours becomes one of the target's.
    ///
    /// - Parameters:
    ///   - closeOnExec: of the target's descriptor.
    ///   - added: the number that the target has it under, though the call was not answered: a signal called the target away in between.
    /// - Returns: 0 or a negated errno; the call is then still unanswered.
    public static func finish(
        _ listener: Int32, _ id: UInt64, descriptor: Int32, closeOnExec: Bool, added: inout Int32?
    ) -> Int32 {
        let flags = closeOnExec ? UInt32(bitPattern: OpenFlags.closeOnExec) : 0
        let number = pc_listener_add_descriptor(listener, id, descriptor, flags, 1)
        if number >= 0 { return 0 }
        // Before Linux 5.14 it takes two steps; a target that is killed in between has no use for the first.
        guard number == -22 else { return number }
        let own = pc_listener_add_descriptor(listener, id, descriptor, flags, 0)
        guard own >= 0 else { return own }
        let result = pc_listener_respond(listener, id, Int64(own), 0, 0)
        if result != 0 { added = own }
        return result
    }

    /// Wakes the target on our CPU (Linux 6.6); nothing before.
    public static func wakeSynchronously(_ listener: Int32) { _ = pc_listener_wake_synchronously(listener) }

    /// Whether a descriptor is a listener.
    public static func isListener(_ descriptor: Int32) -> Bool { pc_listener_is_valid(descriptor, 0) == -2 }
}

/// Why a call may go on: what the decision rested on. Every value is a reason that no target can change meanwhile.
public enum RegisterProof: Sendable {
    /// Domain, type and protocol of socket(2) and socketpair(2).
    case socketRegisters
    /// Protection and flags of mmap(2).
    case mapRegisters
    /// The call's number, and who makes it: it is reported, not decided.
    case callNumber
    /// The registers that tell which capability the call needs, and who makes it.
    case capabilityRegisters
    /// The descriptor's number, and what it is open on: nobody else has the caller's descriptors, which waits (one thread, and no clone(2) with
    /// CLONE_FILES but for threads).
    case unsharedDescriptors
    /// The registers name nobody to send to, and nothing that the tree has is connected to a resolver.
    case noResolverConnected
    /// What runs then is looked at before its first instruction, and killed if it is not what was allowed (`ExecutionStop`).
    case executionStop
    /// The failure table says allow; nothing was read.
    case failureTable
}

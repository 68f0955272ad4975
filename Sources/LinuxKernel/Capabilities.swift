import CCapability
import CLinux

/// The capability sets of a thread. They belong to the *calling thread*: a process changes them before it has others.
public struct Capabilities: Equatable, Sendable {
    /// What the thread may make effective.
    public var permitted: CapabilitySet
    /// What permission checks use.
    public var effective: CapabilitySet
    /// What survives exec of a file with matching inheritable capabilities.
    public var inheritable: CapabilitySet
    /// The limit for what exec can gain.
    public var bounding: CapabilitySet
    /// What survives exec of any file.
    public var ambient: CapabilitySet

    /// The calling thread's sets, from the kernel's text rather than from the library that also sets them.
    public static func current() throws(KernelError) -> Capabilities {
        let status = try ProcFS.status(of: KernelThread.currentID)
        return Capabilities(
            permitted: status.permittedCapabilities, effective: status.effectiveCapabilities,
            inheritable: status.inheritableCapabilities, bounding: status.boundingCapabilities,
            ambient: status.ambientCapabilities)
    }

    /// capset(2). EPERM: not in the permitted set. Capabilities taken away from the permitted set leave the ambient
    /// set too.
    public static func apply(
        permitted: CapabilitySet, effective: CapabilitySet, inheritable: CapabilitySet
    ) throws(KernelError) {
        var sets = pc_capabilities(
            permitted: permitted.rawValue, effective: effective.rawValue, inheritable: inheritable.rawValue)
        try KernelError.check("capset", pc_capabilities_set(&sets))
    }

    /// Drops everything but `kept` from the bounding set; needs CAP_SETPCAP.
    public static func limitBounding(to kept: CapabilitySet) throws(KernelError) {
        try KernelError.check("prctl(PR_CAPBSET_DROP)", pc_capabilities_limit_bounding(kept.rawValue))
    }

    /// Empties the ambient set.
    public static func clearAmbient() throws(KernelError) {
        try KernelError.check("prctl(PR_CAP_AMBIENT_CLEAR_ALL)", pc_capabilities_clear_ambient())
    }

    /// Reads the sets again and throws EPERM unless permitted and effective are exactly `expected`, or the latter exactly `effective` if
    /// given, the ambient set is within it, and the bounding set is within `bounding` if given.
    public static func verify(
        _ expected: CapabilitySet, effective: CapabilitySet? = nil, bounding: CapabilitySet? = nil
    ) throws(KernelError) {
        let now = try current()
        guard now.permitted == expected, now.effective == effective ?? expected, now.ambient.isSubset(of: expected),
            bounding.map({ now.bounding.isSubset(of: $0) }) ?? true
        else { throw KernelError("verify capabilities", errno: 1) }
    }

    /// The capabilities the running kernel has.
    public static var known: CapabilitySet {
        let count = Swift.max(0, Swift.min(63, Int(pc_capability_count())))
        return CapabilitySet(rawValue: (1 << UInt64(count)) - 1)
    }
}

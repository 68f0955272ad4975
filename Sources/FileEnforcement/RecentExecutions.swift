import Synchronization

/// Which execution each thread was last answered, for all threads that decide: who reads a program in order to say why it does not start asks
/// another of our threads than the one that refused it.
///
/// Forgets what falls on the same place; what is forgotten is reported once more.
package struct RecentExecutions: @unchecked Sendable {
    // Unchecked: the memory is only touched through atomics, and is there as long as the threads that use it.
    private static let places = 256
    private let places: UnsafeMutablePointer<Atomic<UInt64>>

    package init() {
        places = .allocate(capacity: Self.places)
        for index in 0..<Self.places { (places + index).initialize(to: Atomic(0)) }
    }

    /// A thread's execution of an object was allowed, or not.
    func note(_ thread: Int32, _ device: UInt64, _ inode: UInt64, isAllowed: Bool) {
        place(of: thread).pointee.store(Self.mark(thread, device, inode, isAllowed), ordering: .relaxed)
    }

    /// Whether that is what was noted of the thread last.
    func contains(_ thread: Int32, _ device: UInt64, _ inode: UInt64, isAllowed: Bool) -> Bool {
        place(of: thread).pointee.load(ordering: .relaxed) == Self.mark(thread, device, inode, isAllowed)
    }

    private func place(of thread: Int32) -> UnsafeMutablePointer<Atomic<UInt64>> {
        places + Int(UInt32(bitPattern: thread)) % Self.places
    }

    /// Never 0, which is what is there before. Two executions with the same mark would cost one of them its second report, and nothing else.
    private static func mark(_ thread: Int32, _ device: UInt64, _ inode: UInt64, _ isAllowed: Bool) -> UInt64 {
        mix(mix(mix(mix(UInt64(UInt32(bitPattern: thread))) ^ device) ^ inode) ^ (isAllowed ? 1 : 2)) | 1
    }

    /// The end of SplitMix64.
    private static func mix(_ value: UInt64) -> UInt64 {
        var value = value &+ 0x9E37_79B9_7F4A_7C15
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}

import EventRing
import FileEnforcement
import LinuxKernel
import SyscallEnforcement

/// Numbers by which the rings know who writes: never the same for two threads of the agent's whole life.
enum RingOwner {
    /// The guardian, which only gives up dead workers' lanes.
    static let guardian: UInt64 = 1

    /// Threads of a worker that write: the permission thread, the control thread, that of the packet filter, the
    /// call threads.
    private static let writers = UInt64(3 + CallLoop.threads)

    /// A worker's permission thread.
    static func queue(_ incarnation: UInt64) -> UInt64 { incarnation * writers + 2 }

    /// A worker's control thread.
    static func control(_ incarnation: UInt64) -> UInt64 { incarnation * writers + 3 }

    /// A worker's thread for the packet filter.
    static func packets(_ incarnation: UInt64) -> UInt64 { incarnation * writers + 4 }

    /// One of a worker's call threads.
    static func calls(_ incarnation: UInt64, thread: Int) -> UInt64 { incarnation * writers + 5 + UInt64(thread) }

    /// Gives up the lanes of a dead worker: what it had published stays, what it was writing is counted as lost.
    static func giveUp(_ incarnation: UInt64, _ rings: [SharedRing]) {
        for ring in rings {
            for owner in all(incarnation) {
                do { try ring.abandon(owner: owner, by: guardian, pidfd: nil) } catch {
                    AgentLog.warning("a lane of the event ring is not given up: \(error)")
                }
            }
        }
    }

    /// All of a worker's.
    static func all(_ incarnation: UInt64) -> [UInt64] {
        [queue(incarnation), control(incarnation), packets(incarnation)]
            + (0..<CallLoop.threads).map { calls(incarnation, thread: $0) }
    }
}

/// The shared memory of the roles. Mappings live as long as the process.
package enum SharedRegions {
    /// Lanes of a ring: one for each thread of a worker; for each worker that there can be, and one that takes over before the last is gone.
    private static let lanes = (2 + NamespaceWorkers.limit) * 12
    /// Bytes of a lane: some hundred records.
    private static let laneBytes = 256 << 10

    /// Creates a ring's memory, and the view of it by which the guardian gives up the lanes of dead workers.
    static func createRing(_ name: String) throws(KernelError) -> (descriptor: Int32, ring: SharedRing) {
        guard let size = SharedRing.requiredSize(lanes: lanes, laneBytes: laneBytes) else {
            throw KernelError("size event ring", errno: 22)
        }
        let descriptor = try SharedMemory.create(name: name, size: size).release()
        let memory = try map(descriptor)
        do {
            return (
                descriptor,
                try SharedRing(formatting: memory.start, size: memory.count, lanes: lanes, laneBytes: laneBytes)
            )
        } catch { throw KernelError("format event ring", errno: 22) }
    }

    package static func ring(_ descriptor: Int32) throws(KernelError) -> SharedRing {
        let memory = try map(descriptor)
        do { return try SharedRing(attaching: memory.start, size: memory.count) } catch {
            throw KernelError("attach event ring", errno: 22)
        }
    }

    package static func board(_ descriptor: Int32) throws(KernelError) -> StatusBoard {
        StatusBoard(memory: try map(descriptor).start)
    }

    /// Maps shared memory for the life of the process.
    private static func map(_ descriptor: Int32) throws(KernelError) -> (start: UnsafeMutableRawPointer, count: Int) {
        let box = MappedRegion(try SharedMemory(mapping: descriptor, limit: 1 << 30))
        let bytes = box.memory.bytes
        guard let start = bytes.baseAddress else { throw KernelError("mmap", errno: 12) }
        // Never unmapped: readers and writers hold plain pointers into it.
        _ = Unmanaged.passRetained(box)
        return (start, bytes.count)
    }

    private final class MappedRegion {
        let memory: SharedMemory
        init(_ memory: consuming SharedMemory) { self.memory = memory }
    }
}

/// Sealed memory that stays mapped while somebody holds it.
package final class SealedRegion: Sendable {
    private let memory: SealedMemory

    /// Largest snapshot.
    package static let limit = 512 << 20

    package init(_ descriptor: Int32) throws(KernelError) {
        memory = try SealedMemory(mapping: descriptor, limit: Self.limit)
    }

    package var bytes: UnsafeRawBufferPointer { memory.bytes }

    /// A copy of the contents.
    package static func contents(of descriptor: Int32) -> [UInt8]? {
        guard let region = try? SealedRegion(descriptor) else { return nil }
        return [UInt8](region.bytes)
    }

    /// Seals bytes; the descriptor is the caller's.
    package static func seal(_ bytes: [UInt8], name: String) throws(KernelError) -> Int32 {
        var result: Result<Int32, KernelError> = .failure(KernelError("memfd_create", errno: 22))
        bytes.withUnsafeBytes { raw in
            do throws(KernelError) {
                result = .success(try SealedMemory.create(name: name, bytes: raw).release())
            } catch { result = .failure(error) }
        }
        return try result.get()
    }
}

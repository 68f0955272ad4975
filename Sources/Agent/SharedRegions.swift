import EventRing
import FileEnforcement
import LinuxKernel

/// The shared memory of the roles. Mappings live as long as the process.
enum SharedRegions {
    /// Cells of a ring: 2 MiB each, some ten thousand records.
    static let ringCells = 16_384

    /// Creates a ring's memory.
    static func createRing(_ name: String) throws(KernelError) -> Int32 {
        let size = RingGeometry.size(cells: ringCells)
        let descriptor = try SharedMemory.create(name: name, size: size).release()
        let memory = try map(descriptor)
        do { try RingGeometry.initialize(memory.start, size: memory.count, cells: ringCells) } catch {
            throw KernelError("initialize event ring", errno: error.errno)
        }
        return descriptor
    }

    static func producer(_ descriptor: Int32) throws(KernelError) -> RingProducer {
        let memory = try map(descriptor)
        do { return try RingProducer(memory: memory.start, size: memory.count) } catch {
            throw KernelError("attach event ring", errno: error.errno)
        }
    }

    static func consumer(_ descriptor: Int32) throws(KernelError) -> RingConsumer {
        let memory = try map(descriptor)
        do { return try RingConsumer(memory: memory.start, size: memory.count) } catch {
            throw KernelError("attach event ring", errno: error.errno)
        }
    }

    static func board(_ descriptor: Int32) throws(KernelError) -> StatusBoard {
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
final class SealedRegion {
    private let memory: SealedMemory

    /// Largest snapshot.
    static let limit = 512 << 20

    init(_ descriptor: Int32) throws(KernelError) { memory = try SealedMemory(mapping: descriptor, limit: Self.limit) }

    var bytes: UnsafeRawBufferPointer { memory.bytes }

    /// A copy of the contents.
    static func contents(of descriptor: Int32) -> [UInt8]? {
        guard let region = try? SealedRegion(descriptor) else { return nil }
        return [UInt8](region.bytes)
    }

    /// Seals bytes; the descriptor is the caller's.
    static func seal(_ bytes: [UInt8], name: String) throws(KernelError) -> Int32 {
        var result: Result<Int32, KernelError> = .failure(KernelError("memfd_create", errno: 22))
        bytes.withUnsafeBytes { raw in
            do throws(KernelError) {
                result = .success(try SealedMemory.create(name: name, bytes: raw).release())
            } catch { result = .failure(error) }
        }
        return try result.get()
    }
}

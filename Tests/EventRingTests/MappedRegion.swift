import Glibc

@testable import EventRing

/// Anonymous shared memory for one test.
final class MappedRegion {
    let base: UnsafeMutableRawPointer
    let size: Int

    init(size: Int) throws {
        guard let base = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), base != MAP_FAILED
        else { throw RingError.system(errno) }
        self.base = base
        self.size = size
    }

    convenience init(lanes: Int, laneBytes: Int = 16 << 10) throws {
        guard let size = SharedRing.requiredSize(lanes: lanes, laneBytes: laneBytes) else {
            throw RingError.invalidLayout
        }
        try self.init(size: size)
        _ = try SharedRing(formatting: base, size: size, lanes: lanes, laneBytes: laneBytes)
    }

    func ring() throws(RingError) -> SharedRing {
        try SharedRing(attaching: base, size: size)
    }

    deinit {
        munmap(base, size)
    }
}

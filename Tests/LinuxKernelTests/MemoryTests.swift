import Glibc
import LinuxKernel
import Testing

@Suite(.timeLimit(.minutes(10)))
struct MemoryTests {
    @Test func sealedBytesCannotChange() throws {
        let bytes = (0..<10_000).map { UInt8(truncatingIfNeeded: $0) }
        let file = try SealedMemory.create(name: "snapshot", bytes: bytes)
        let mapped = try SealedMemory(mapping: file.raw, limit: 10_000)
        #expect(mapped.count == 10_000)
        #expect(mapped.bytes.elementsEqual(bytes))
        #expect(write(file.raw, "x", 1) == -1)
        #expect(errno == EPERM)
        #expect(ftruncate(file.raw, 5) == -1)
        #expect(ftruncate(file.raw, 20_000) == -1)
        #expect(mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file.raw, 0) == MAP_FAILED)
        // Reopened through /proc it is the same file.
        #expect(open("/proc/self/fd/\(file.raw)", O_RDWR) >= 0)
        file.close()
        #expect(mapped.bytes.elementsEqual(bytes))
    }

    @Test func unsealedOrLargeMemoryIsNotMapped() throws {
        let shared = try SharedMemory.create(name: "ring", size: 4096)
        let sharedNumber = shared.raw
        #expect(throws: KernelError("verify seals", errno: EPERM)) {
            _ = try SealedMemory(mapping: sharedNumber, limit: 1 << 20)
        }
        let file = try SealedMemory.create(name: "x", bytes: [UInt8](repeating: 1, count: 100))
        let number = file.raw
        #expect(throws: KernelError("map sealed memory", errno: EFBIG)) {
            _ = try SealedMemory(mapping: number, limit: 99)
        }
        let pipe = try Pipe()
        let reader = pipe.reader.raw
        #expect(throws: KernelError("fcntl(F_GET_SEALS)", errno: EINVAL)) {
            _ = try SealedMemory(mapping: reader, limit: 99)
        }
    }

    @Test func emptySealedMemory() throws {
        let file = try SealedMemory.create(name: "x", bytes: [UInt8]())
        let mapped = try SealedMemory(mapping: file.raw, limit: 0)
        #expect(mapped.count == 0)
        #expect(mapped.bytes.isEmpty)
    }

    @Test func sharedMemoryIsSharedAndKeepsItsSize() throws {
        let file = try SharedMemory.create(name: "ring", size: 8192)
        let first = try SharedMemory(mapping: file.raw, limit: 8192)
        let second = try SharedMemory(mapping: file.raw, limit: 8192)
        #expect(first.bytes.allSatisfy { $0 == 0 })
        first.bytes[8191] = 42
        #expect(second.bytes[8191] == 42)
        #expect(ftruncate(file.raw, 0) == -1)
        #expect(ftruncate(file.raw, 16_384) == -1)
        let number = file.raw
        #expect(throws: KernelError("map shared memory", errno: EFBIG)) {
            _ = try SharedMemory(mapping: number, limit: 8191)
        }
    }
}

import Glibc
import LinuxKernel
import PolicyEngine

/// Room for one message that is sent in a thread's name. Allocated once; only what is used of it takes memory.
struct MessageBuffers {
    /// Bytes of a message that is sent in one piece. What is longer does not fit into a socket's buffer as machines have them.
    static let messageLimit = 4 << 20
    /// Bytes of a stream that are sent at a time.
    static let chunk = 256 << 10

    let data = UnsafeMutableRawBufferPointer.allocate(byteCount: messageLimit, alignment: 64)
    let name = UnsafeMutableRawBufferPointer.allocate(byteCount: 128, alignment: 8)
    /// The address of whom a socket is connected to.
    let peer = UnsafeMutableRawBufferPointer.allocate(byteCount: 128, alignment: 8)
    /// A name that is asked for.
    let question = UnsafeMutableRawBufferPointer.allocate(byteCount: DNSQuestions.longestName, alignment: 8)
    var ancillary = AncillaryData()
    /// The pieces of one message, each an address and a length in the caller's memory.
    private let parts = UnsafeMutableRawBufferPointer.allocate(
        byteCount: 16 * Int(MessageHeader.partLimit), alignment: 8)
    private var partCount = 0
    private var isWide = true
    /// Bytes of all pieces.
    private(set) var total: UInt64 = 0
    /// Those that one call sends on a stream at most: `MAX_RW_COUNT`, as the kernel has it.
    var streamTotal: Int { Int(min(total, 0x7FFF_F000)) }

    /// Of a message without a list: one piece.
    mutating func setPart(_ address: UInt64, _ length: UInt64) {
        parts.storeBytes(of: address, as: UInt64.self)
        parts.storeBytes(of: length, toByteOffset: 8, as: UInt64.self)
        (partCount, isWide, total) = (1, true, length)
    }

    /// Reads the list of pieces: 0 or a negated errno.
    mutating func readParts(_ header: MessageHeader, _ thread: Int32, isWide: Bool) -> Int32 {
        partCount = Int(min(header.partCount, MessageHeader.partLimit))
        self.isWide = isWide
        total = 0
        let result = ThreadMemory.read(
            thread, at: header.parts,
            into: UnsafeMutableRawBufferPointer(rebasing: parts[..<(partCount * (isWide ? 16 : 8))]))
        guard result == 0 else { return result }
        for index in 0..<partCount {
            let length = part(index).length
            guard length <= UInt64(Int32.max) else { return -EINVAL }
            total += length
        }
        return 0
    }

    private func part(_ index: Int) -> (address: UInt64, length: UInt64) {
        let words = MessageWords(UnsafeRawBufferPointer(parts), isWide: isWide)
        return isWide
            ? (words.word(16 * index), words.word(16 * index + 8)) : (words.word(8 * index), words.word(8 * index + 4))
    }

    /// Copies up to `count` bytes, from a place on, into a buffer: how many, or a negated errno.
    func copy(_ thread: Int32, from start: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        var (skipped, used) = (start, 0)
        for index in 0..<partCount where used < buffer.count {
            var (address, length) = part(index)
            let step = min(skipped, length)
            (address, length, skipped) = (address &+ step, length - step, skipped - step)
            let size = Int(min(length, UInt64(buffer.count - used)))
            guard size > 0 else { continue }
            let result = ThreadMemory.read(
                thread, at: address, into: UnsafeMutableRawBufferPointer(rebasing: buffer[used..<(used + size)]))
            // What comes before a piece that is not there is sent (sendmsg(2) of a stream).
            guard result == 0 else { return used > 0 ? used : Int(result) }
            used += size
        }
        return used
    }
}

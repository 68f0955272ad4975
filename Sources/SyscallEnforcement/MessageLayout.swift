import LinuxKernel

/// A message header as a thread has it in its memory, with addresses of 8 or of 4 bytes (sendmsg(2), sendmmsg(2)).
struct MessageHeader {
    var name: UInt64 = 0
    var nameLength: UInt32 = 0
    /// Where the pieces of data are listed, and how many there are.
    var parts: UInt64 = 0
    var partCount: UInt64 = 0
    var control: UInt64 = 0
    var controlLength: UInt64 = 0

    /// `UIO_MAXIOV`.
    static let partLimit: UInt64 = 1024
    /// `sizeof(struct sockaddr_storage)`: what is longer is cut, as the kernel does.
    static let nameLimit: UInt32 = 128

    /// Bytes from one header of sendmmsg(2) to the next.
    static func stride(isWide: Bool) -> UInt64 { isWide ? 64 : 32 }

    /// Where in such a header stands how many bytes were sent.
    static func sentOffset(isWide: Bool) -> UInt64 { isWide ? 56 : 28 }

    /// Reads one: 0 or a negated errno.
    mutating func read(_ thread: Int32, at address: UInt64, isWide: Bool) -> Int32 {
        var bytes = InlineArray<56, UInt8>(repeating: 0)
        return withUnsafeMutableBytes(of: &bytes) { buffer -> Int32 in
            let length = isWide ? 56 : 28
            let result = ThreadMemory.read(
                thread, at: address, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<length]))
            guard result == 0 else { return result }
            let fields = MessageWords(UnsafeRawBufferPointer(buffer), isWide: isWide)
            name = fields.word(0)
            nameLength = fields.half(isWide ? 8 : 4)
            parts = fields.word(isWide ? 16 : 8)
            partCount = fields.word(isWide ? 24 : 12)
            control = fields.word(isWide ? 32 : 16)
            controlLength = fields.word(isWide ? 40 : 20)
            if name == 0 { nameLength = 0 }
            if Int32(bitPattern: nameLength) < 0 { return -22 }
            nameLength = min(nameLength, Self.nameLimit)
            if partCount > Self.partLimit { return -90 }
            return 0
        }
    }
}

/// Numbers of 8 or 4 bytes at places of a buffer.
struct MessageWords {
    private let bytes: UnsafeRawBufferPointer
    private let isWide: Bool

    init(_ bytes: UnsafeRawBufferPointer, isWide: Bool) {
        self.bytes = bytes
        self.isWide = isWide
    }

    /// An address or a length.
    func word(_ offset: Int) -> UInt64 {
        isWide ? bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) : UInt64(half(offset))
    }

    /// A number of 4 bytes.
    func half(_ offset: Int) -> UInt32 { bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
}

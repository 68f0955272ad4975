import CLinux

/// The name by which a process was told to execute its program, as the kernel copied it before it looked the name up
/// (AT_EXECFN, getauxval(3)). No thread that ran before the execution can change it any more.
public enum ExecutedName {
    private static let type: UInt64 = 31

    /// Copies it, with its zero byte: its length without it, or a negated errno.
    public static func read(of process: Int32, into buffer: UnsafeMutableBufferPointer<CChar>) -> Int {
        var storage = InlineArray<1024, UInt8>(repeating: 0)
        let address = withUnsafeMutableBytes(of: &storage) { vector -> UInt64? in
            let length = ProcFS.read(of: process, "auxv", into: vector)
            return length > 0 ? find(UnsafeRawBufferPointer(rebasing: vector[0..<length])) : nil
        }
        guard let address else { return -61 }
        return ThreadMemory.string(process, at: address, into: buffer)
    }

    /// The entry's value; pairs of words, of 4 bytes for a program of 32 bits.
    static func find(_ vector: UnsafeRawBufferPointer) -> UInt64? {
        guard vector.count >= 16 else { return nil }
        // Types are small numbers; taken for one of 8 bytes, the first pair of 4 bytes is a large one.
        let isWide = vector.loadUnaligned(as: UInt64.self) < 1 << 32
        let size = isWide ? 16 : 8
        for start in stride(from: 0, through: vector.count - size, by: size) {
            func word(_ offset: Int) -> UInt64 {
                isWide
                    ? vector.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                    : UInt64(vector.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
            }
            if word(start) == type { return word(start + size / 2) }
        }
        return nil
    }
}

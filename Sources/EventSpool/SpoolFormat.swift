import Glibc

/// The bytes of a segment file. All numbers are little-endian.
///
/// A segment is a header and then records, one behind the other; it ends where a record is not whole. It is only ever appended
/// to, by one process; another that continues the spool begins another segment.
enum SpoolFormat {
    /// `PCSPOOL1`.
    static let magic: UInt64 = 0x314c_4f4f_5053_4350
    /// Magic, spool, segment number, next number of each kind, time, zero, checksum of all before.
    static let headerBytes = 64
    /// Length of the payload, checksum of all behind it, number, time, kind, seven zeros.
    static let recordBytes = 32
    /// Longest payload.
    static let payloadLimit = 1 << 20

    /// The head of a segment.
    struct Header: Equatable {
        /// Drawn when a spool is made; numbers of one spool mean nothing in another.
        var spool: UInt64
        var number: UInt64
        /// What the first record of each kind in this segment is numbered, at least.
        var next: SpoolNumbers
        /// CLOCK_REALTIME nanoseconds at which it was begun.
        var time: UInt64

        var bytes: [UInt8] {
            var bytes: [UInt8] = []
            bytes.reserveCapacity(SpoolFormat.headerBytes)
            for value in [SpoolFormat.magic, spool, number, next[.alert], next[.log], next[.message], time] {
                append(value, to: &bytes)
            }
            append(UInt32(0), to: &bytes)
            append(bytes.withUnsafeBytes(Checksum.of), to: &bytes)
            return bytes
        }

        init(spool: UInt64, number: UInt64, next: SpoolNumbers, time: UInt64) {
            self.spool = spool
            self.number = number
            self.next = next
            self.time = time
        }

        /// Reads a head; `nil` for anything that `bytes` does not make.
        init?(_ bytes: UnsafeRawBufferPointer) {
            guard bytes.count >= SpoolFormat.headerBytes else { return nil }
            let sum: UInt32 = load(bytes, 60)
            guard load(bytes, 0) == SpoolFormat.magic,
                Checksum.of(UnsafeRawBufferPointer(rebasing: bytes[0..<60])) == sum
            else { return nil }
            spool = load(bytes, 8)
            number = load(bytes, 16)
            next = SpoolNumbers()
            next[.alert] = load(bytes, 24)
            next[.log] = load(bytes, 32)
            next[.message] = load(bytes, 40)
            time = load(bytes, 48)
        }
    }

    /// What the bytes at a place in a segment are.
    enum Piece: Equatable {
        case record(kind: SpoolKind, sequence: UInt64, time: UInt64, payload: Range<Int>)
        /// The bytes end before the record does; at least this many are needed.
        case incomplete(needed: Int)
        /// No record of ours.
        case broken
    }

    /// Appends a record.
    static func append(
        _ kind: SpoolKind, _ sequence: UInt64, time: UInt64, _ payload: [UInt8], to bytes: inout [UInt8]
    ) {
        let start = bytes.count
        append(UInt32(payload.count), to: &bytes)
        append(UInt32(0), to: &bytes)
        append(sequence, to: &bytes)
        append(time, to: &bytes)
        append(UInt64(kind.rawValue), to: &bytes)
        bytes.append(contentsOf: payload)
        bytes.withUnsafeMutableBytes { raw in
            let sum = Checksum.of(UnsafeRawBufferPointer(rebasing: raw[(start + 8)...]))
            raw.storeBytes(of: sum.littleEndian, toByteOffset: start + 4, as: UInt32.self)
        }
    }

    /// Reads the record that begins at `offset`.
    static func piece(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Piece {
        guard bytes.count - offset >= recordBytes else { return .incomplete(needed: recordBytes) }
        let length: UInt32 = load(bytes, offset)
        guard length <= payloadLimit else { return .broken }
        let end = offset + recordBytes + Int(length)
        guard bytes.count >= end else { return .incomplete(needed: recordBytes + Int(length)) }
        let sum: UInt32 = load(bytes, offset + 4)
        let word: UInt64 = load(bytes, offset + 24)
        guard Checksum.of(UnsafeRawBufferPointer(rebasing: bytes[(offset + 8)..<end])) == sum,
            let kind = UInt8(exactly: word).flatMap(SpoolKind.init)
        else { return .broken }
        return .record(
            kind: kind, sequence: load(bytes, offset + 8), time: load(bytes, offset + 16),
            payload: (offset + recordBytes)..<end)
    }

    /// The time of the record at a place of a file, which is not verified: no more than a hint. `nil` when the file ends before.
    static func time(in file: Int32, at offset: Int) -> UInt64? {
        var bytes = InlineArray<32, UInt8>(repeating: 0)
        return withUnsafeMutableBytes(of: &bytes) { raw in
            pread(file, raw.baseAddress, raw.count, off_t(offset)) == raw.count
                ? load(UnsafeRawBufferPointer(raw), 16) : nil
        }
    }

    private static func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    private static func load<Value: FixedWidthInteger>(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> Value {
        // A trivial type: any bytes are a value.
        var value: Value = 0
        withUnsafeMutableBytes(of: &value) {
            $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + MemoryLayout<Value>.size)]))
        }
        return Value(littleEndian: value)
    }
}

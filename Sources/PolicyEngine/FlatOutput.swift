/// Bytes under construction, little-endian.
struct FlatOutput {
    private(set) var bytes: [UInt8] = []

    init() {}

    init(headerSize: Int) { bytes = [UInt8](repeating: 0, count: headerSize) }

    mutating func append(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func append(_ values: [some FixedWidthInteger]) {
        bytes.reserveCapacity(bytes.count + values.count * 8)
        for value in values { append(value) }
    }

    mutating func append(bytes added: [UInt8]) { bytes += added }

    mutating func set(_ value: some FixedWidthInteger, at offset: Int) {
        withUnsafeBytes(of: value.littleEndian) { source in
            for index in 0..<source.count { bytes[offset + index] = source[index] }
        }
    }

    /// Fills up to a multiple of eight.
    mutating func align() { while bytes.count % 8 != 0 { bytes.append(0) } }
}

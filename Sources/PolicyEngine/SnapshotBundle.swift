/// The snapshots of several workloads as one piece of memory: put in force together or not at all.
///
/// Workload 0 is the host, and comes first. Rule ids are unique across the bundle (`SnapshotCompiler.compile(firstRule:)`).
public struct SnapshotBundle: Sendable {
    /// A workload's number that stands for the host.
    public static let host: UInt64 = 0

    /// Set in the numbers of containers, whose policies are about the names that they themselves see, and are all that hold for them.
    private static let containerBit: UInt64 = 1 << 62

    /// The number of a container.
    public static func container(_ number: UInt64) -> UInt64 { number | containerBit }

    /// What `container` made of it.
    public static func number(ofContainer workload: UInt64) -> UInt64 { workload & ~containerBit }

    /// Whether a workload is a container.
    public static func isContainer(_ workload: UInt64) -> Bool { workload & containerBit != 0 }

    /// The parts that are about the host's names.
    public var hostParts: [Part] { parts.filter { !Self.isContainer($0.workload) } }

    /// A workload's snapshot.
    public struct Part: Sendable {
        /// The workload's number.
        public let workload: UInt64
        /// Its policies.
        public let snapshot: Snapshot
    }

    private static let magic: UInt64 = 0x324C_444E_4243_5050  // "PPCBNDL2"
    private static let headerSize = 32
    private static let entrySize = 24
    /// Workloads at most.
    public static let limit = 4096

    /// The host's, then the others by number.
    public let parts: [Part]

    /// Where in the bytes stands what the packet filter is to do, in a form of its own; empty without network policies.
    public let network: Range<Int>

    /// The bytes of a bundle.
    ///
    /// - Parameters:
    ///   - parts: workload numbers in increasing order, the host first, with the bytes of their snapshots.
    ///   - network: what the packet filter is to do.
    public static func encode(_ parts: [(workload: UInt64, bytes: [UInt8])], network: [UInt8] = []) -> [UInt8] {
        var result: [UInt8] = []
        func append(_ value: UInt64, to bytes: inout [UInt8]) {
            for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
        }
        append(magic, to: &result)
        append(UInt64(parts.count), to: &result)
        var offset = headerSize + entrySize * parts.count
        append(parts.reduce(UInt64(offset)) { $0 + UInt64(($1.bytes.count + 7) & ~7) }, to: &result)
        append(UInt64(network.count), to: &result)
        for part in parts {
            append(part.workload, to: &result)
            append(UInt64(offset), to: &result)
            append(UInt64(part.bytes.count), to: &result)
            offset += (part.bytes.count + 7) & ~7
        }
        result.reserveCapacity(offset)
        for part in parts {
            result += part.bytes
            result += [UInt8](repeating: 0, count: -part.bytes.count & 7)
        }
        result += network
        return result
    }

    /// Checks everything and makes the bytes usable. They must stay valid and unchanged while the bundle is used.
    public init(validating bytes: UnsafeRawBufferPointer) throws(SnapshotError) {
        guard bytes.count >= Self.headerSize, let start = bytes.baseAddress else { throw .tooShort }
        guard start.long(at: 0) == Self.magic else { throw .badMagic }
        let count = start.long(at: 8)
        guard count >= 1, count <= UInt64(Self.limit) else { throw .badReference("workloads") }
        var next = Self.headerSize + Self.entrySize * Int(count)
        guard bytes.count >= next else { throw .tooShort }
        var parts: [Part] = []
        for index in 0..<Int(count) {
            let entry = start + Self.headerSize + Self.entrySize * index
            let (workload, offset, length) = (entry.long(at: 0), entry.long(at: 8), entry.long(at: 16))
            guard parts.last.map({ $0.workload < workload }) ?? (workload == Self.host), offset == UInt64(next),
                length <= UInt64(bytes.count - next)
            else { throw .badReference("workloads") }
            let snapshot = try Snapshot(
                validating: UnsafeRawBufferPointer(rebasing: bytes[next..<(next + Int(length))]))
            guard parts.first.map({ $0.snapshot.generation == snapshot.generation }) ?? true else {
                throw .badReference("generations")
            }
            parts.append(Part(workload: workload, snapshot: snapshot))
            next = min(next + (Int(length) + 7) & ~7, bytes.count)
        }
        guard start.long(at: 16) == UInt64(next), start.long(at: 24) == UInt64(bytes.count - next) else {
            throw .badLength
        }
        self.parts = parts
        network = next..<bytes.count
    }

    /// The host's snapshot.
    public var host: Snapshot { parts[0].snapshot }
}

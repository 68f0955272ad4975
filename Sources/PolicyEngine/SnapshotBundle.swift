/// The snapshots of several workloads as one piece of memory: put in force together or not at all.
///
/// Workload 0 is the host, and comes first. Rule ids are unique among the host and trees (`SnapshotCompiler.compile(firstRule:)`). Containers
/// share sets of policies: a set has a number, which is its generation, rule ids of its own, and stays as it is from bundle to bundle.
public struct SnapshotBundle: Sendable {
    /// A workload's number that stands for the host.
    public static let host: UInt64 = 0

    /// Set in the numbers of containers, whose policies are about the names that they themselves see, and are all that hold for them.
    private static let containerBit: UInt64 = 1 << 62
    /// Set in the numbers under which sets of policies travel.
    private static let setBit: UInt64 = 1 << 63

    /// The number of a container.
    public static func container(_ number: UInt64) -> UInt64 { number | containerBit }

    /// What `container` made of it.
    public static func number(ofContainer workload: UInt64) -> UInt64 { workload & ~containerBit }

    /// Whether a workload is a container.
    public static func isContainer(_ workload: UInt64) -> Bool { workload & (containerBit | setBit) == containerBit }

    /// The number under which the set of a generation travels.
    public static func set(_ generation: UInt64) -> UInt64 { generation | setBit }

    /// Whether a number is that of a set.
    public static func isSet(_ number: UInt64) -> Bool { number & setBit != 0 }

    /// The parts that are about the host's names.
    public var hostParts: [Part] { parts.filter { !Self.isSet($0.workload) } }

    /// The sets of policies that containers share.
    public var sets: [Part] { parts.filter { Self.isSet($0.workload) } }

    /// A workload's snapshot, or a set's.
    public struct Part: Sendable {
        /// The number of the workload or set.
        public let workload: UInt64
        /// Its policies.
        public let snapshot: Snapshot
    }

    /// Which set a container has.
    public struct Assignment: Sendable, Equatable {
        /// The container's number as a workload.
        public var container: UInt64
        /// The set's number.
        public var set: UInt64

        /// Says which.
        public init(container: UInt64, set: UInt64) {
            self.container = container
            self.set = set
        }
    }

    private static let magic: UInt64 = 0x334C_444E_4243_5050  // "PPCBNDL3"
    private static let headerSize = 40
    private static let entrySize = 24
    private static let assignmentSize = 16
    /// Parts at most.
    public static let limit = 4096
    /// Containers at most.
    public static let containerLimit = 1 << 20

    /// The host's, then trees, then sets, each by number.
    public let parts: [Part]

    /// Which container has which of the sets.
    public let assignments: [Assignment]

    /// Where in the bytes stands what the packet filter is to do, in a form of its own; empty without network policies.
    public let network: Range<Int>

    /// The bytes of a bundle.
    ///
    /// - Parameters:
    ///   - parts: numbers in increasing order, the host first, with the bytes of their snapshots. Without a host only sets.
    ///   - assignments: which container has which of the sets.
    ///   - network: what the packet filter is to do.
    public static func encode(
        _ parts: [(workload: UInt64, bytes: [UInt8])], assignments: [Assignment] = [], network: [UInt8] = []
    ) -> [UInt8] {
        var result: [UInt8] = []
        func append(_ value: UInt64, to bytes: inout [UInt8]) {
            for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
        }
        append(magic, to: &result)
        append(UInt64(parts.count), to: &result)
        append(UInt64(assignments.count), to: &result)
        var offset = headerSize + entrySize * parts.count + assignmentSize * assignments.count
        append(parts.reduce(UInt64(offset)) { $0 + UInt64(($1.bytes.count + 7) & ~7) }, to: &result)
        append(UInt64(network.count), to: &result)
        for part in parts {
            append(part.workload, to: &result)
            append(UInt64(offset), to: &result)
            append(UInt64(part.bytes.count), to: &result)
            offset += (part.bytes.count + 7) & ~7
        }
        for assignment in assignments {
            append(assignment.container, to: &result)
            append(assignment.set, to: &result)
        }
        result.reserveCapacity(offset + network.count)
        for part in parts {
            result += part.bytes
            result += [UInt8](repeating: 0, count: -part.bytes.count & 7)
        }
        result += network
        return result
    }

    /// Checks everything and makes the bytes usable. They must stay valid and unchanged while the bundle is used.
    ///
    /// - Parameter hasHost: false for sets alone, which are added to a bundle that is in force.
    public init(validating bytes: UnsafeRawBufferPointer, hasHost: Bool = true) throws(SnapshotError) {
        guard bytes.count >= Self.headerSize, let start = bytes.baseAddress else { throw .tooShort }
        guard start.long(at: 0) == Self.magic else { throw .badMagic }
        let (count, containers) = (start.long(at: 8), start.long(at: 16))
        guard count >= 1, count <= UInt64(Self.limit) else { throw .badReference("workloads") }
        guard containers <= UInt64(Self.containerLimit) else { throw .badReference("containers") }
        let table = Self.headerSize + Self.entrySize * Int(count)
        var next = table + Self.assignmentSize * Int(containers)
        guard bytes.count >= next else { throw .tooShort }
        var parts: [Part] = []
        for index in 0..<Int(count) {
            let entry = start + Self.headerSize + Self.entrySize * index
            let (workload, offset, length) = (entry.long(at: 0), entry.long(at: 8), entry.long(at: 16))
            let isInOrder = parts.last.map { $0.workload < workload } ?? (workload == Self.host || !hasHost)
            guard isInOrder, !Self.isContainer(workload), hasHost || Self.isSet(workload), offset == UInt64(next),
                length <= UInt64(bytes.count - next)
            else { throw .badReference("workloads") }
            let snapshot = try Snapshot(
                validating: UnsafeRawBufferPointer(rebasing: bytes[next..<(next + Int(length))]))
            let generation = Self.isSet(workload) ? workload & ~Self.setBit : parts.first?.snapshot.generation
            guard generation ?? snapshot.generation == snapshot.generation else { throw .badReference("generations") }
            parts.append(Part(workload: workload, snapshot: snapshot))
            next = min(next + (Int(length) + 7) & ~7, bytes.count)
        }
        guard start.long(at: 24) == UInt64(next), start.long(at: 32) == UInt64(bytes.count - next) else {
            throw .badLength
        }
        var assignments: [Assignment] = []
        let sets = Set(parts.map(\.workload).filter(Self.isSet))
        for index in 0..<Int(containers) {
            let entry = start + table + Self.assignmentSize * index
            let assignment = Assignment(container: entry.long(at: 0), set: entry.long(at: 8))
            guard Self.isContainer(assignment.container), sets.contains(assignment.set),
                assignments.last.map({ $0.container < assignment.container }) ?? true
            else { throw .badReference("containers") }
            assignments.append(assignment)
        }
        self.parts = parts
        self.assignments = assignments
        network = next..<bytes.count
    }

    /// The host's snapshot.
    public var host: Snapshot { parts[0].snapshot }
}

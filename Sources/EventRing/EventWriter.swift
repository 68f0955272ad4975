import CEventRing

/// Builds records in a caller's buffer and pushes them. No allocation, no reference counting, no `String`.
///
/// One per writing thread; the rings it feeds are named per call.
public struct EventWriter: ~Copyable, @unchecked Sendable {
    /// Largest record, bytes.
    public static let maximumRecord = Int(PC_EVENT_MAX)
    private static let headerSize = MemoryLayout<pc_event_header>.size
    private static let fieldBudget = maximumRecord - headerSize

    private let buffer: UnsafeMutableRawBufferPointer
    /// Number of the last record.
    public private(set) var sequence: UInt64 = 0

    /// - Parameter buffer: at least `maximumRecord` bytes, aligned to 8; the caller keeps it alive and to this writer.
    /// - Throws: `RingError.bufferTooSmall`
    public init(buffer: UnsafeMutableRawBufferPointer) throws(RingError) {
        guard let base = buffer.baseAddress, buffer.count >= Self.maximumRecord, UInt(bitPattern: base) % 8 == 0 else {
            throw .bufferTooSmall
        }
        self.buffer = buffer
    }

    /// Builds a record and pushes it. Without room it is dropped and counted, like everything a ring drops.
    public mutating func push(
        _ header: EventHeader, _ fields: EventFields, to producer: inout RingProducer
    ) -> RingPush {
        producer.write(build(header, fields))
    }

    /// Builds a record; the bytes are valid until the next call.
    ///
    /// If the fields exceed the record, the arguments are cut first, then every field longer than a common limit, and
    /// the record is flagged `truncated`.
    public mutating func build(_ header: EventHeader, _ fields: EventFields) -> UnsafeRawBufferPointer {
        sequence &+= 1
        var lengths: [9 of Int] = .init(repeating: 0)
        let isTruncated = Self.fit(fields, &lengths)
        var raw = pc_event_header()
        raw.version = UInt16(PC_EVENT_VERSION)
        raw.header_size = UInt16(Self.headerSize)
        raw.kind = header.kind.rawValue
        raw.category = header.category.rawValue
        raw.effect = header.effect.rawValue
        raw.mechanism = header.mechanism.rawValue
        raw.flags = header.flags.rawValue | (isTruncated ? EventFlags.truncated.rawValue : 0)
        raw.rule_id = header.ruleID
        raw.generation = header.generation
        raw.wall_ns = header.wallClock
        raw.sequence = header.kind == .loss ? header.sequence : sequence
        raw.host_pid = header.hostPID
        raw.host_ppid = header.hostPPID
        raw.tid = header.tid
        raw.uid = header.uid
        raw.oid = header.oid
        raw.syscall_nr = header.syscall
        raw.open_flags = header.openFlags
        raw.notice_code = header.noticeCode
        raw.container_low = UInt16(truncatingIfNeeded: header.container)
        raw.container_high = UInt16(truncatingIfNeeded: header.container >> 16)
        buffer.storeBytes(of: raw, as: pc_event_header.self)
        var end = Self.headerSize
        for index in 0..<EventField.count {
            let length = lengths[index]
            buffer.storeBytes(
                of: UInt16(truncatingIfNeeded: length), toByteOffset: Int(PC_EVENT_LENGTH_OFFSET) + 2 * index,
                as: UInt16.self)
            if length > 0 {
                UnsafeMutableRawBufferPointer(rebasing: buffer[end..<end + length])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: fields[index: index][..<length]))
                end += length
            }
        }
        return UnsafeRawBufferPointer(rebasing: buffer[..<end])
    }

    /// Finds the length each field gets; true if any got less than it has.
    private static func fit(_ fields: EventFields, _ lengths: inout [9 of Int]) -> Bool {
        let argumentIndex = EventField.arguments.rawValue
        var others = 0
        for index in 0..<EventField.count {
            lengths[index] = fields[index: index].count
            if index != argumentIndex { others += lengths[index] }
        }
        if others + lengths[argumentIndex] <= fieldBudget { return false }
        if others <= fieldBudget {
            lengths[argumentIndex] = fieldBudget - others
            return true
        }
        lengths[argumentIndex] = 0
        // The largest common limit under which the rest fits, by halving: 13 rounds.
        var fits = 0
        var exceeds = fieldBudget + 1
        while exceeds - fits > 1 {
            let limit = (fits + exceeds) / 2
            var sum = 0
            for index in 0..<EventField.count { sum += min(lengths[index], limit) }
            if sum <= fieldBudget { fits = limit } else { exceeds = limit }
        }
        for index in 0..<EventField.count { lengths[index] = min(lengths[index], fits) }
        return true
    }
}

import CEventRing

/// A decoded event. The bytes are what the writer wrote and nothing more is known of them: not UTF-8, not free of NUL.
public struct EventRecord: Sendable, Equatable {
    /// The fixed part.
    public var header: EventHeader
    /// Path of the object.
    public var resource: [UInt8]
    /// The path that was asked for, or another known name of the object.
    public var requestedPath: [UInt8]
    /// Executable of the process.
    public var executable: [UInt8]
    /// Executable of its parent.
    public var parentExecutable: [UInt8]
    /// Working directory.
    public var workingDirectory: [UInt8]
    /// Terminal.
    public var terminal: [UInt8]
    /// Thread name.
    public var threadName: [UInt8]
    /// argv, joined by NUL.
    public var arguments: [UInt8]
    /// Free text.
    public var message: [UInt8]

    /// Decodes a record that has been copied out of the ring.
    /// - Throws: `EventRecordError` for anything but exactly one whole record.
    public init(decoding bytes: UnsafeRawBufferPointer) throws(EventRecordError) {
        let headerSize = MemoryLayout<pc_event_header>.size
        guard bytes.count >= headerSize, bytes.count <= EventWriter.maximumRecord else { throw .size(bytes.count) }
        let raw = bytes.loadUnaligned(as: pc_event_header.self)
        guard raw.version == UInt16(PC_EVENT_VERSION) else { throw .version(raw.version) }
        guard Int(raw.header_size) == headerSize else { throw .headerSize(raw.header_size) }
        guard raw.reserved == 0 else { throw .reserved }
        guard let kind = EventHeader.Kind(rawValue: raw.kind) else { throw .value(field: "kind", raw.kind) }
        guard let category = EventHeader.Category(rawValue: raw.category) else {
            throw .value(field: "category", raw.category)
        }
        guard let effect = EventHeader.Effect(rawValue: raw.effect) else { throw .value(field: "effect", raw.effect) }
        guard let mechanism = EventHeader.Mechanism(rawValue: raw.mechanism) else {
            throw .value(field: "mechanism", raw.mechanism)
        }
        header = EventHeader(kind: kind, category: category, effect: effect, mechanism: mechanism)
        header.flags = EventFlags(rawValue: raw.flags)
        header.ruleID = raw.rule_id
        header.generation = raw.generation
        header.wallClock = raw.wall_ns
        header.sequence = raw.sequence
        header.hostPID = raw.host_pid
        header.hostPPID = raw.host_ppid
        header.tid = raw.tid
        header.uid = raw.uid
        header.oid = raw.oid
        header.syscall = raw.syscall_nr
        header.openFlags = raw.open_flags
        header.noticeCode = raw.notice_code
        header.container = UInt32(raw.container_low) | UInt32(raw.container_high) << 16

        var starts: [10 of Int] = .init(repeating: 0)
        for index in 0..<EventField.count {
            let offset = Int(PC_EVENT_LENGTH_OFFSET) + 2 * index
            starts[index + 1] = starts[index] + Int(bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
        }
        let available = bytes.count - headerSize
        guard starts[EventField.count] == available else {
            throw .lengths(sum: starts[EventField.count], available: available)
        }
        func field(_ field: EventField) -> [UInt8] {
            Array(bytes[headerSize + starts[field.rawValue]..<headerSize + starts[field.rawValue + 1]])
        }
        resource = field(.resource)
        requestedPath = field(.requestedPath)
        executable = field(.executable)
        parentExecutable = field(.parentExecutable)
        workingDirectory = field(.workingDirectory)
        terminal = field(.terminal)
        threadName = field(.threadName)
        arguments = field(.arguments)
        message = field(.message)
    }

    /// argv. One final NUL ends the last entry, it does not begin another.
    public var argumentList: [[UInt8]] {
        guard !arguments.isEmpty else { return [] }
        let body = arguments.last == 0 ? arguments.dropLast() : arguments[...]
        return body.split(separator: 0, omittingEmptySubsequences: false).map(Array.init)
    }
}

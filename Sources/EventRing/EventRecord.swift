import CEventRing

/// A record as the consumer sees it, copied out of the ring and checked.
public struct EventRecord: Sendable {
    /// What a record is about.
    public enum Kind: UInt8, Sendable {
        case verdict = 1
        case staleDescriptor = 2
    }

    /// The fixed head.
    public let header: EventHeader
    /// What it is about.
    public let kind: Kind
    private let contents: [UInt8]
    private let starts: [Int]

    /// Reads a record; `nil` unless head and lengths are exactly those of a record of this version.
    public init?(_ bytes: UnsafeRawBufferPointer) {
        let size = MemoryLayout<EventHeader>.size
        guard bytes.count >= size else { return nil }
        header = bytes.loadUnaligned(as: EventHeader.self)
        guard header.version == UInt16(PC_EVENT_VERSION), Int(header.header_size) == size,
            header.category < 6, header.effect < 3, let kind = Kind(rawValue: header.kind)
        else { return nil }
        self.kind = kind
        var starts = [size]
        withUnsafeBytes(of: header.lengths) { lengths in
            for field in 0..<Int(PC_EVENT_FIELDS) {
                starts.append(starts[field] + Int(lengths.loadUnaligned(fromByteOffset: field * 2, as: UInt16.self)))
            }
        }
        guard starts.last == bytes.count else { return nil }
        self.starts = starts
        contents = [UInt8](bytes)
    }

    /// The bytes of a field.
    public subscript(field: EventField) -> [UInt8] {
        Array(contents[starts[field.rawValue]..<starts[field.rawValue + 1]])
    }

    /// A flag of the head.
    public func has(_ flag: EventFlag) -> Bool { header.flags & flag.rawValue != 0 }
}

/// Flags of a record.
public struct EventFlag: OptionSet, Sendable {
    /// The bits, as stored.
    public let rawValue: UInt32
    /// Wraps the bits of the head.
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// The path was made in a mount that the host does not have.
    public static let pathUntrusted = EventFlag(rawValue: PC_EVENT_PATH_UNTRUSTED.rawValue)
    /// The rule was found by the object, under the name in `EventField.alias`.
    public static let matchedByObject = EventFlag(rawValue: PC_EVENT_MATCHED_BY_OBJECT.rawValue)
    /// A field was cut.
    public static let truncated = EventFlag(rawValue: PC_EVENT_TRUNCATED.rawValue)
    /// A failure row decided; `detail` is its number.
    public static let failure = EventFlag(rawValue: PC_EVENT_FAILURE.rawValue)
}

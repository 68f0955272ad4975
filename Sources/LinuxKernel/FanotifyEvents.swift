import CLinux

/// One event of a fanotify group: struct fanotify_event_metadata.
public struct FanotifyEvent {
    /// What happened, as `FanotifyMask` bits.
    public let mask: UInt64
    /// The object, opened for the reader, who closes it; -1 if there is none (overflow, identifier groups), a negated
    /// errno with `reportDescriptorError`.
    public let descriptor: Int32
    /// The process, or with `reportTID` the thread; 0 if it is outside the reader's pid namespace.
    public let pid: Int32
    /// Bytes of the event, information records included.
    public let length: Int
    let information: UnsafeRawBufferPointer

    /// Whether somebody waits for an answer.
    public var wantsResponse: Bool { mask & FanotifyMask.permissionEvents != 0 }

    /// The information records, valid as long as the buffer.
    public var records: FanotifyRecords { FanotifyRecords(information) }
}

/// The events in a buffer that `Fanotify.read` filled. Allocates nothing; events point into the buffer.
public struct FanotifyEvents: Sequence, IteratorProtocol {
    private var rest: UnsafeRawBufferPointer
    /// Set when the rest of the buffer could not be understood: a metadata version other than 3, or a bad length.
    public private(set) var isMalformed = false

    /// `buffer`: exactly the bytes that were read.
    public init(_ buffer: UnsafeRawBufferPointer) { rest = buffer }

    /// `buffer`: the read buffer, of which `count` bytes are events.
    public init(_ buffer: UnsafeMutableRawBufferPointer, count: Int) {
        rest = UnsafeRawBufferPointer(rebasing: buffer.prefix(Swift.max(0, count)))
    }

    /// The next event.
    public mutating func next() -> FanotifyEvent? {
        guard rest.count >= 24 else {
            if !rest.isEmpty { isMalformed = true }
            return nil
        }
        let length = Int(rest.loadUnaligned(as: UInt32.self))
        let header = Int(rest.loadUnaligned(fromByteOffset: 6, as: UInt16.self))
        guard rest[4] == 3, header >= 24, length >= header, length <= rest.count else {
            isMalformed = true
            rest = UnsafeRawBufferPointer(rebasing: rest[rest.count...])
            return nil
        }
        let event = FanotifyEvent(
            mask: rest.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
            descriptor: rest.loadUnaligned(fromByteOffset: 16, as: Int32.self),
            pid: rest.loadUnaligned(fromByteOffset: 20, as: Int32.self), length: length,
            information: UnsafeRawBufferPointer(rebasing: rest[header..<length]))
        rest = UnsafeRawBufferPointer(rebasing: rest[length...])
        return event
    }
}

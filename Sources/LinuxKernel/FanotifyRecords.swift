/// One information record of a fanotify event.
public struct FanotifyRecord {
    /// FAN_EVENT_INFO_TYPE_*.
    public enum Kind: UInt8, Sendable {
        /// The object itself.
        case object = 1
        /// A directory and a name in it.
        case directoryAndName = 2
        /// A directory.
        case directory = 3
        /// A pidfd of the process.
        case processDescriptor = 4
        /// A file system error.
        case error = 5
        /// A range of a pre-content event.
        case range = 6
        /// A mount that was attached or detached.
        case mount = 7
        /// Where a renamed object was.
        case oldDirectoryAndName = 10
        /// Where a renamed object is.
        case newDirectoryAndName = 12
    }

    /// The kind; nil for one newer than this code.
    public let kind: Kind?
    /// Everything after the four bytes of header.
    let body: UnsafeRawBufferPointer

    private var isIdentifier: Bool {
        switch kind {
        case .object, .directoryAndName, .directory, .oldDirectoryAndName, .newDirectoryAndName: body.count >= 16
        default: false
        }
    }

    /// The file system's id, as statfs(2) gives it: first word low.
    public var fileSystemID: UInt64? { isIdentifier ? body.loadUnaligned(as: UInt64.self) : nil }

    /// The type of the handle.
    public var handleType: Int32? { isIdentifier ? body.loadUnaligned(fromByteOffset: 12, as: Int32.self) : nil }

    /// The handle's bytes, comparable with `FileHandle`; empty if there is none.
    public var handle: UnsafeRawBufferPointer {
        guard isIdentifier else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        let count = Int(body.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        guard count <= body.count - 16 else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(rebasing: body[16..<16 + count])
    }

    /// The name without its terminator; empty in a record without one. "." stands for the directory itself.
    public var name: UnsafeRawBufferPointer {
        guard kind == .directoryAndName || kind == .oldDirectoryAndName || kind == .newDirectoryAndName,
            body.count >= 16
        else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        let start = 16 + handle.count
        let end = body[start...].firstIndex(of: 0) ?? body.endIndex
        return UnsafeRawBufferPointer(rebasing: body[start..<end])
    }

    /// The pidfd, which the reader closes; -1: the process was gone, -2: it could not be opened.
    public var processDescriptor: Int32? {
        kind == .processDescriptor && body.count >= 4 ? body.loadUnaligned(as: Int32.self) : nil
    }

    /// The unique id (`MountTable.uniqueID`) of the mount.
    public var mountID: UInt64? {
        // The 64-bit member follows four bytes of padding.
        kind == .mount && body.count >= 12 ? body.loadUnaligned(fromByteOffset: 4, as: UInt64.self) : nil
    }
}

/// The information records of one event, in place.
public struct FanotifyRecords: Sequence, IteratorProtocol {
    private var rest: UnsafeRawBufferPointer

    init(_ buffer: UnsafeRawBufferPointer) { rest = buffer }

    /// The next record; ends at one whose length is wrong.
    public mutating func next() -> FanotifyRecord? {
        guard rest.count >= 4 else { return nil }
        let length = Int(rest.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
        guard length >= 4, length <= rest.count else { return nil }
        let record = FanotifyRecord(
            kind: FanotifyRecord.Kind(rawValue: rest[0]), body: UnsafeRawBufferPointer(rebasing: rest[4..<length]))
        rest = UnsafeRawBufferPointer(rebasing: rest[length...])
        return record
    }
}

import CLinux

/// Events of inotify(7).
public struct InotifyMask: OptionSet, Sendable {
    /// The bits as the kernel has them.
    public let rawValue: UInt32
    /// From the kernel's bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// IN_MODIFY.
    public static let modify = InotifyMask(rawValue: 0x2)
    /// IN_ATTRIB.
    public static let attributes = InotifyMask(rawValue: 0x4)
    /// IN_CLOSE_WRITE.
    public static let closeWrite = InotifyMask(rawValue: 0x8)
    /// IN_MOVED_FROM.
    public static let movedFrom = InotifyMask(rawValue: 0x40)
    /// IN_MOVED_TO.
    public static let movedTo = InotifyMask(rawValue: 0x80)
    /// IN_CREATE.
    public static let create = InotifyMask(rawValue: 0x100)
    /// IN_DELETE.
    public static let delete = InotifyMask(rawValue: 0x200)
    /// IN_DELETE_SELF.
    public static let deleteSelf = InotifyMask(rawValue: 0x400)
    /// IN_MOVE_SELF.
    public static let moveSelf = InotifyMask(rawValue: 0x800)
    /// IN_UNMOUNT; only in events.
    public static let unmount = InotifyMask(rawValue: 0x2000)
    /// IN_Q_OVERFLOW; only in events: some are lost.
    public static let overflow = InotifyMask(rawValue: 0x4000)
    /// IN_IGNORED; only in events: the watch is gone.
    public static let watchRemoved = InotifyMask(rawValue: 0x8000)
    /// IN_ONLYDIR.
    public static let onlyDirectory = InotifyMask(rawValue: 0x100_0000)
    /// IN_DONT_FOLLOW.
    public static let dontFollow = InotifyMask(rawValue: 0x200_0000)
    /// IN_ISDIR; only in events.
    public static let isDirectory = InotifyMask(rawValue: 0x4000_0000)
    /// Every change of a directory's files: created, written, moved, deleted, and of the directory itself.
    public static let directoryChanges: InotifyMask = [
        .create, .modify, .closeWrite, .movedFrom, .movedTo, .delete, .deleteSelf, .moveSelf,
    ]
}

/// An inotify(7) instance.
public struct Inotify: ~Copyable, Sendable {
    /// One event.
    public struct Event: Equatable, Sendable {
        /// Which watch; -1 for an overflow.
        public var watch: Int32
        /// What happened.
        public var mask: InotifyMask
        /// Joins `movedFrom` and `movedTo`.
        public var cookie: UInt32
        /// The entry's name; empty if the event is about the watched object itself.
        public var name: [UInt8]
    }

    /// For poll(2).
    public let descriptor: Descriptor

    /// Nonblocking.
    public init() throws(KernelError) {
        descriptor = Descriptor(owning: try KernelError.check("inotify_init1", pc_inotify_init(1)))
    }

    /// inotify_add_watch(2): the watch's number. ENOSPC: the user's limit of watches.
    public borrowing func add(_ path: UnsafePointer<CChar>, _ mask: InotifyMask) throws(KernelError) -> Int32 {
        try KernelError.check("inotify_add_watch", pc_inotify_add(descriptor.raw, path, mask.rawValue))
    }

    /// Watches a directory for changes of what is in it by name, and for its own end: the watch's number, or a negated errno.
    public static func addDirectory(_ path: [UInt8], to instance: Int32) -> Int32 {
        let mask: InotifyMask = [
            .create, .movedFrom, .movedTo, .delete, .deleteSelf, .moveSelf, .onlyDirectory,
        ]
        return (path + [0]).withUnsafeBufferPointer { bytes in
            bytes.withMemoryRebound(to: CChar.self) { text in
                text.baseAddress.map { pc_inotify_add(instance, $0, mask.rawValue) } ?? -22
            }
        }
    }

    /// inotify_rm_watch(2).
    public borrowing func remove(_ watch: Int32) throws(KernelError) {
        try KernelError.check("inotify_rm_watch", pc_inotify_remove(descriptor.raw, watch))
    }

    /// The pending events; empty if there are none. Allocates.
    public borrowing func events() throws(KernelError) -> [Event] {
        var storage = InlineArray<8192, UInt8>(repeating: 0)
        var events: [Event] = []
        let length = withUnsafeMutableBytes(of: &storage) { buffer -> Int in
            let length = descriptor.read(into: buffer)
            if length > 0 { Self.parse(UnsafeRawBufferPointer(rebasing: buffer[0..<length]), into: &events) }
            return length
        }
        if length < 0, length != -11 { throw KernelError("read inotify", errno: Int32(-length)) }
        return events
    }

    static func parse(_ buffer: UnsafeRawBufferPointer, into events: inout [Event]) {
        var at = 0
        while at + 16 <= buffer.count {
            let length = Int(buffer.loadUnaligned(fromByteOffset: at + 12, as: UInt32.self))
            guard length <= buffer.count - at - 16 else { return }
            let name = buffer[at + 16..<at + 16 + length].prefix { $0 != 0 }
            events.append(
                Event(
                    watch: buffer.loadUnaligned(fromByteOffset: at, as: Int32.self),
                    mask: InotifyMask(rawValue: buffer.loadUnaligned(fromByteOffset: at + 4, as: UInt32.self)),
                    cookie: buffer.loadUnaligned(fromByteOffset: at + 8, as: UInt32.self), name: Array(name)))
            at += 16 + length
        }
    }
}

import CLinux

/// fanotify(7) without allocation: every call takes raw numbers and caller-owned buffers.
public enum Fanotify {
    /// fanotify_init(2). EPERM without CAP_SYS_ADMIN (permission classes), EINVAL for flags the kernel does not know,
    /// EMFILE beyond the user's number of groups (128 by default). `eventFlags`: the open flags of event descriptors.
    public static func create(
        _ flags: FanotifyFlags, eventFlags: Int32 = FanotifyFlags.readOnlyEvents
    ) throws(KernelError) -> Descriptor {
        let group = pc_fanotify_init(flags.rawValue, UInt32(bitPattern: eventFlags))
        return Descriptor(owning: try KernelError.check("fanotify_init", group))
    }

    /// fanotify_mark(2) on `path` below `directory`, or on `directory` itself if `path` is nil. 0 or a negated errno.
    public static func mark(
        group: Int32, _ operation: MarkOperation, scope: MarkScope, options: MarkOptions = [], mask: UInt64,
        directory: Int32 = OpenFlags.currentDirectory, path: UnsafePointer<CChar>?
    ) -> Int32 {
        pc_fanotify_mark(
            group, operation.rawValue | scope.rawValue | options.rawValue, operation == .flush ? 0 : mask, directory,
            path)
    }

    /// Reads events: bytes, or a negated errno (EAGAIN on an empty nonblocking group; EMFILE when no descriptor was
    /// left for an event, whose waiter then gets EPERM).
    public static func read(group: Int32, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        guard let base = buffer.baseAddress else { return 0 }
        return pc_read(group, base, buffer.count)
    }

    /// Answers a permission event: 0 or a negated errno (ENOENT: already answered, or nobody waits any more). Does not
    /// close the event's descriptor.
    public static func respond(group: Int32, descriptor: Int32, allow: Bool) -> Int32 {
        pc_fanotify_respond(group, descriptor, allow ? 1 : 2)
    }
}

/// Creation of fanotify groups; see `Fanotify.create`.
public enum FanotifyGroup {
    /// fanotify_init(2).
    public static func create(
        _ flags: FanotifyFlags, eventFlags: Int32 = FanotifyFlags.readOnlyEvents
    ) throws(KernelError) -> Descriptor { try Fanotify.create(flags, eventFlags: eventFlags) }
}

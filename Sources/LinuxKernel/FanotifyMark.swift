/// What fanotify_mark(2) does.
public enum MarkOperation: UInt32, Sendable {
    /// FAN_MARK_ADD.
    case add = 0x1
    /// FAN_MARK_REMOVE.
    case remove = 0x2
    /// FAN_MARK_FLUSH: removes all marks of the scope; the mask does not matter.
    case flush = 0x80
}

/// What a mark covers.
public enum MarkScope: UInt32, Sendable {
    /// One file or directory.
    case inode = 0
    /// One mount, and no clone of it.
    case mount = 0x10
    /// A superblock, in every mount namespace; Linux 4.20.
    case filesystem = 0x100
    /// A mount namespace (its nsfs file), for `reportMount` groups; Linux 6.14.
    case mountNamespace = 0x110
}

/// Modifiers of a mark.
public struct MarkOptions: OptionSet, Sendable {
    /// The bits as the kernel has them.
    public let rawValue: UInt32
    /// From the kernel's bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// FAN_MARK_DONT_FOLLOW.
    public static let dontFollow = MarkOptions(rawValue: 0x4)
    /// FAN_MARK_ONLYDIR: ENOTDIR for anything else.
    public static let onlyDirectory = MarkOptions(rawValue: 0x8)
    /// FAN_MARK_IGNORED_MASK: the mask is what *not* to report, until the object is modified.
    public static let ignoredMask = MarkOptions(rawValue: 0x20)
    /// FAN_MARK_IGNORED_SURV_MODIFY: modification does not clear the ignore mask. With `ignoredMask` or `ignore`.
    public static let ignoreSurvivingModify = MarkOptions(rawValue: 0x40)
    /// FAN_MARK_EVICTABLE, Linux 5.19: does not pin the inode; a lost mark is silent, so only for ignore marks.
    public static let evictable = MarkOptions(rawValue: 0x200)
    /// FAN_MARK_IGNORE, Linux 6.0: as `ignoredMask`, and `onDirectory` and `eventOnChild` count. On a directory, mount
    /// or file system it needs `ignoreSurvivingModify`.
    public static let ignore = MarkOptions(rawValue: 0x400)
}

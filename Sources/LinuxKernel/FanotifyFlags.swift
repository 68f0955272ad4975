/// Flags of fanotify_init(2).
public struct FanotifyFlags: OptionSet, Sendable {
    /// The bits as the kernel has them.
    public let rawValue: UInt32
    /// From the kernel's bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// FAN_CLOEXEC.
    public static let closeOnExec = FanotifyFlags(rawValue: 0x1)
    /// FAN_NONBLOCK.
    public static let nonblocking = FanotifyFlags(rawValue: 0x2)
    /// FAN_CLASS_NOTIF, the absence of the other classes.
    public static let notificationClass: FanotifyFlags = []
    /// FAN_CLASS_CONTENT: permission events, after the content is final.
    public static let contentClass = FanotifyFlags(rawValue: 0x4)
    /// FAN_CLASS_PRE_CONTENT: permission events before the content is final.
    public static let preContentClass = FanotifyFlags(rawValue: 0x8)
    /// FAN_UNLIMITED_QUEUE: without it an overflow lets operations through unasked.
    public static let unlimitedQueue = FanotifyFlags(rawValue: 0x10)
    /// FAN_UNLIMITED_MARKS.
    public static let unlimitedMarks = FanotifyFlags(rawValue: 0x20)
    /// FAN_ENABLE_AUDIT, Linux 4.15.
    public static let enableAudit = FanotifyFlags(rawValue: 0x40)
    /// FAN_REPORT_PIDFD, Linux 5.15.
    public static let reportProcessDescriptor = FanotifyFlags(rawValue: 0x80)
    /// FAN_REPORT_TID, Linux 4.20.
    public static let reportTID = FanotifyFlags(rawValue: 0x100)
    /// FAN_REPORT_FID, Linux 5.1: not with a permission class.
    public static let reportFID = FanotifyFlags(rawValue: 0x200)
    /// FAN_REPORT_DIR_FID, Linux 5.9.
    public static let reportDirectoryFID = FanotifyFlags(rawValue: 0x400)
    /// FAN_REPORT_NAME, Linux 5.9, with `reportDirectoryFID`.
    public static let reportName = FanotifyFlags(rawValue: 0x800)
    /// FAN_REPORT_TARGET_FID, Linux 5.17, with `reportDFIDName` and `reportFID`.
    public static let reportTargetFID = FanotifyFlags(rawValue: 0x1000)
    /// FAN_REPORT_FD_ERROR, Linux 6.13: an event whose descriptor could not be opened says why.
    public static let reportDescriptorError = FanotifyFlags(rawValue: 0x2000)
    /// FAN_REPORT_MNT, Linux 6.14: mounts attached to and detached from a marked mount namespace.
    public static let reportMount = FanotifyFlags(rawValue: 0x4000)
    /// FAN_REPORT_DFID_NAME, Linux 5.9: directory handle and name.
    public static let reportDFIDName: FanotifyFlags = [.reportDirectoryFID, .reportName]

    /// O_RDONLY | O_LARGEFILE | O_CLOEXEC: what event descriptors normally are.
    public static let readOnlyEvents: Int32 = OpenFlags.readOnly | OpenFlags.largeFile | OpenFlags.closeOnExec
}

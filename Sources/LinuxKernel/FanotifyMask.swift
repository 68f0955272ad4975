/// Event bits of fanotify_mark(2) and of events.
public enum FanotifyMask {
    /// FAN_ACCESS.
    public static let access: UInt64 = 0x1
    /// FAN_MODIFY.
    public static let modify: UInt64 = 0x2
    /// FAN_ATTRIB, Linux 5.1, needs `reportFID`.
    public static let attrib: UInt64 = 0x4
    /// FAN_CLOSE_WRITE.
    public static let closeWrite: UInt64 = 0x8
    /// FAN_CLOSE_NOWRITE.
    public static let closeNoWrite: UInt64 = 0x10
    /// FAN_OPEN.
    public static let open: UInt64 = 0x20
    /// FAN_MOVED_FROM, Linux 5.1, needs `reportFID` or names.
    public static let movedFrom: UInt64 = 0x40
    /// FAN_MOVED_TO, Linux 5.1.
    public static let movedTo: UInt64 = 0x80
    /// FAN_CREATE, Linux 5.1.
    public static let create: UInt64 = 0x100
    /// FAN_DELETE, Linux 5.1.
    public static let delete: UInt64 = 0x200
    /// FAN_DELETE_SELF, Linux 5.1.
    public static let deleteSelf: UInt64 = 0x400
    /// FAN_MOVE_SELF, Linux 5.1.
    public static let moveSelf: UInt64 = 0x800
    /// FAN_OPEN_EXEC, Linux 5.0.
    public static let openExec: UInt64 = 0x1000
    /// FAN_Q_OVERFLOW: only in events; its descriptor is -1.
    public static let queueOverflow: UInt64 = 0x4000
    /// FAN_FS_ERROR, Linux 5.16.
    public static let fileSystemError: UInt64 = 0x8000
    /// FAN_OPEN_PERM.
    public static let openPermission: UInt64 = 0x10000
    /// FAN_ACCESS_PERM.
    public static let accessPermission: UInt64 = 0x20000
    /// FAN_OPEN_EXEC_PERM, Linux 5.0.
    public static let openExecPermission: UInt64 = 0x40000
    /// FAN_PRE_ACCESS, Linux 6.14, `preContentClass` only.
    public static let preAccess: UInt64 = 0x100000
    /// FAN_MNT_ATTACH, Linux 6.14, `reportMount` only.
    public static let mountAttach: UInt64 = 0x100_0000
    /// FAN_MNT_DETACH, Linux 6.14, `reportMount` only.
    public static let mountDetach: UInt64 = 0x200_0000
    /// FAN_EVENT_ON_CHILD.
    public static let eventOnChild: UInt64 = 0x800_0000
    /// FAN_RENAME, Linux 5.17: old and new directory and name in one event.
    public static let rename: UInt64 = 0x1000_0000
    /// FAN_ONDIR.
    public static let onDirectory: UInt64 = 0x4000_0000
    /// The bits of events that wait for an answer.
    public static let permissionEvents: UInt64 = openPermission | accessPermission | openExecPermission | preAccess
}

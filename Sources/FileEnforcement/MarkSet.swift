import Glibc
import LinuxKernel

/// The marks of one fanotify group, and the plan they come from. Marks are only ever added to a living group; a reload moves
/// to a new group, which also drops every ignore mark at once.
struct MarkSet {
    let group: Int32
    private let features: EventFeatures
    private(set) var applied: Set<PlannedMark> = []
    /// Rules' marks that the kernel refused, with the errno.
    private(set) var refused: [PlannedMark: Int32] = [:]

    init(group: Int32, features: EventFeatures) { (self.group, self.features) = (group, features) }

    /// Sets every mark of the plan. Setting a mark again changes nothing when the object is the same, and follows the name
    /// when another object stands there now.
    mutating func apply(_ plan: MarkPlan, board: StatusBoard) {
        for mark in plan.marks {
            let result = Self.apply(mark, to: group, features)
            if result == 0 {
                applied.insert(mark)
                refused[mark] = nil
            } else if result != -ENOENT, refused.updateValue(result, forKey: mark) == nil {
                // An object that has just gone is not a refusal: the watch on its directory replans.
                board.add(.markFailures)
            }
        }
        board.set(.inodeMarks, UInt64(applied.count { $0.scope == .inode }))
        board.set(.directoryMarks, UInt64(applied.count { $0.scope == .directory }))
        board.set(.filesystemMarks, UInt64(applied.count { $0.scope == .filesystem || $0.scope == .mount }))
    }

    /// Sets a mark, or takes it away: 0 or a negated errno. Its path is looked up in the calling thread's root.
    static func apply(
        _ mark: PlannedMark, to group: Int32, _ features: EventFeatures, _ operation: MarkOperation = .add
    ) -> Int32 {
        var mask: UInt64 = 0
        if mark.opens { mask |= FanotifyMask.openPermission }
        if mark.executions {
            mask |= features.tellsExecutions ? FanotifyMask.openExecPermission : FanotifyMask.openPermission
        }
        if mark.reads { mask |= FanotifyMask.accessPermission }
        if mark.directories { mask |= FanotifyMask.onDirectory }
        if mark.scope == .directory { mask |= FanotifyMask.eventOnChild }
        return (mark.path + [0]).withUnsafeBufferPointer { bytes in
            bytes.withMemoryRebound(to: CChar.self) { path in
                Fanotify.mark(
                    group: group, operation, scope: mark.scope.kernelScope,
                    options: mark.scope == .directory ? .onlyDirectory : [], mask: mask, path: path.baseAddress)
            }
        }
    }
}

extension PlannedMark.Scope {
    /// What fanotify_mark(2) is told.
    var kernelScope: MarkScope {
        switch self {
        case .inode, .directory: .inode
        case .mount: .mount
        case .filesystem: .filesystem
        }
    }
}

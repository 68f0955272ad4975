import CLinux

/// `/proc/<tid>/status` of the threads that were asked about last, kept open: opening it anew costs as much as reading it. An open
/// one is about that thread only; once that has ended, reading fails, whoever has its number then (proc(5)).
struct StatusFiles {
    private static let capacity = 64

    private struct Entry {
        var thread: Int32 = 0
        var descriptor: Int32 = -1
    }

    private let entries = UnsafeMutablePointer<Entry>.allocate(capacity: capacity)

    init() { entries.initialize(repeating: Entry(), count: Self.capacity) }

    func deallocate() {
        for index in 0..<Self.capacity where entries[index].descriptor >= 0 { _ = pc_close(entries[index].descriptor) }
        entries.deallocate()
    }

    /// The file of a thread, which stays ours, and whether it was opened now; or a negated errno.
    func find(_ thread: Int32) -> (descriptor: Int32, isNew: Bool) {
        let entry = entries[Self.index(thread)]
        return entry.descriptor >= 0 && entry.thread == thread ? (entry.descriptor, false) : reopen(thread)
    }

    /// Opens it anew.
    func reopen(_ thread: Int32) -> (descriptor: Int32, isNew: Bool) {
        let index = Self.index(thread)
        if entries[index].descriptor >= 0 { _ = pc_close(entries[index].descriptor) }
        let file = pc_proc_open(ProcFS.root, thread, ProcFS.text("status"), OpenFlags.readOnly)
        entries[index] = Entry(thread: thread, descriptor: file)
        return (file, true)
    }

    private static func index(_ thread: Int32) -> Int { Int(UInt32(bitPattern: thread) % UInt32(capacity)) }
}

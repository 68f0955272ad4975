/// A process or file operation. Borrows the caller's buffers for the length of a call.
public struct ObjectOperation {
    /// `.process` or `.file`.
    public var category: Category
    /// Absolute path, without trailing slash except `/`.
    public var path: UnsafeRawBufferPointer
    /// Which of the following are filled.
    public var known: FactSet = []
    /// Executable of the parent (process) or of the caller (file); empty when it has none.
    public var source = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The open has write intent, or nobody can tell.
    public var isWrite = false
    /// fsuid is the object's owner.
    public var isOwner = false
    /// The caller has a controlling terminal.
    public var hasTerminal = false
    /// The caller came into the workload by setns.
    public var enteredWorkload = false
    /// The caller's thread group id.
    public var pid: Int32 = 0
    /// argv as NUL-terminated strings one after the other, as in `/proc/<pid>/cmdline`.
    public var arguments = UnsafeRawBufferPointer(start: nil, count: 0)

    /// An operation of which only category and path are known.
    public init(category: Category, path: UnsafeRawBufferPointer) {
        self.category = category
        self.path = path
    }
}

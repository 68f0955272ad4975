import FileEnforcement
import Glibc
import LinuxKernel
import SyscallEnforcement

/// The worker's supervised trees: takes the listener of a child that waits at its gate, has the guardian hold it too, and gives
/// it to the call thread.
struct TreeKeeper {
    private let board: StatusBoard
    let table: TreeTable

    init(board: StatusBoard) throws(KernelError) {
        self.board = board
        table = try TreeTable()
    }

    /// A child that waits, as its launcher names it.
    struct Candidate: Equatable {
        var pid: Int32
        /// Number of the listener in the child.
        var listener: Int32
        /// The launcher, as the control socket knows it.
        var launcher: Int32

        init(pid: Int32, listener: Int32, launcher: Int32) {
            self.pid = pid
            self.listener = listener
            self.launcher = launcher
        }

        /// Reads `text`; `nil` for anything that it does not make.
        init?(_ text: [UInt8]) {
            let numbers = String(decoding: text, as: UTF8.self).split(separator: " ").map { Int32($0) }
            guard numbers.count == 3, let pid = numbers[0], let listener = numbers[1], let launcher = numbers[2],
                pid > 1, listener >= 0
            else { return nil }
            self.init(pid: pid, listener: listener, launcher: launcher)
        }

        var text: [UInt8] { Array("\(pid) \(listener) \(launcher)".utf8) }
    }

    /// Takes a child's listener over.
    ///
    /// - Parameter hold: has the guardian hold the tree's listener under its number; true when it does.
    /// - Returns: why not, as one line; `nil` when the tree is supervised.
    func take(_ candidate: Candidate, hold: (TreeTable.Tree) -> Bool) -> String? {
        let listener: Descriptor
        do {
            let process = try ProcessDescriptor.open(candidate.pid)
            // While the descriptor holds the process its number means nobody else.
            var status = ProcessStatus()
            guard ProcFS.status(of: candidate.pid, into: &status) == 0, status.ppid == candidate.launcher else {
                return "process \(candidate.pid) is no child of the one that asks"
            }
            listener = try ProcessDescriptor.copyDescriptor(candidate.listener, of: process.raw)
        } catch { return "the listener of process \(candidate.pid) cannot be taken over: \(error)" }
        guard SystemCallListener.isListener(listener.raw) else {
            return "descriptor \(candidate.listener) of process \(candidate.pid) is no seccomp listener"
        }
        board.add(.treesStarted)
        let number = board.value(.treesStarted)
        // Without the guardian the tree's calls would fail with the worker, which is closed, not open; go on.
        let tree = Self.tree(number, listener.raw, of: candidate.pid)
        if !hold(tree) { AgentLog.warning("the guardian does not hold the listener of tree \(number)") }
        SystemCallListener.wakeSynchronously(listener.raw)
        let raw = listener.release()
        if table.add(tree) { return showCount() }
        RawDescriptor.close(raw)
        return "there are \(TreeTable.capacity) supervised trees already"
    }

    /// Takes a tree that a worker before had; closes the listener when there are too many.
    func inherit(_ number: UInt64, listener: Int32, note: [UInt8]) {
        let flags = note.first ?? 0
        let tree = TreeTable.Tree(
            number: number, listener: listener, honoursCapabilities: flags & 1 != 0, sharesNamespaces: flags & 2 != 0)
        if !table.add(tree) { RawDescriptor.close(listener) }
        showCount()
    }

    /// What a later worker has to know of a tree.
    static func note(_ tree: TreeTable.Tree) -> [UInt8] {
        [(tree.honoursCapabilities ? 1 : 0) | (tree.sharesNamespaces ? 2 : 0)]
    }

    /// Says how many trees there are.
    @discardableResult func showCount() -> String? {
        board.set(.supervisedTrees, UInt64(table.count))
        return nil
    }

    private static func tree(_ number: UInt64, _ listener: Int32, of process: Int32) -> TreeTable.Tree {
        func isShared(_ namespace: StaticString) -> Bool {
            var (ours, theirs) = (ObjectStatus(), ObjectStatus())
            return ProcFS.object(of: getpid(), namespace, into: &ours) == 0
                && ProcFS.object(of: process, namespace, into: &theirs) == 0 && ours.isSameObject(as: theirs)
        }
        let sharesUser = isShared("ns/user")
        return TreeTable.Tree(
            number: number, listener: listener, honoursCapabilities: sharesUser,
            sharesNamespaces: sharesUser && isShared("ns/net") && isShared("ns/ipc") && isShared("ns/uts"))
    }
}

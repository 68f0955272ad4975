import FileEnforcement
import Glibc
import LinuxKernel
import PolicyEngine
import SyscallEnforcement

/// The worker's supervised trees: takes the listener of a process that waits at its gate, has the guardian hold it too, and gives
/// it to the call thread.
package struct TreeKeeper {
    private let board: StatusBoard
    private let enforcer: FileEnforcer
    private let seesEvents: Bool
    let table: TreeTable
    private var bindings: WorkloadBindings { enforcer.bindings }
    /// Holds a namespace by which processes are known, so that its number is not given to another one; by tree.
    private var namespaces: [UInt64: Int32] = [:]

    /// - Parameter seesEvents: fanotify reports what trees do as well, and has to tell them from others.
    init(board: StatusBoard, enforcer: FileEnforcer, seesEvents: Bool) throws(KernelError) {
        self.board = board
        self.seesEvents = seesEvents
        self.enforcer = enforcer
        table = try TreeTable()
    }

    /// A process that waits at its gate, as its speaker names it.
    package struct Candidate: Equatable {
        package var pid: Int32
        /// Number of the listener in the child.
        package var listener: Int32
        /// The user that asks, as the control socket knows it.
        package var user: UInt32
        /// The workload that it is, 0 for none.
        package var workload: UInt64
        /// It came into a container that was there before.
        package var isEntered = false

        package init(pid: Int32, listener: Int32, user: UInt32, workload: UInt64, isEntered: Bool = false) {
            self.isEntered = isEntered
            self.pid = pid
            self.listener = listener
            self.user = user
            self.workload = workload
        }

        /// Reads `text`; `nil` for anything that it does not make.
        package init?(_ text: [UInt8]) {
            let words = String(decoding: text, as: UTF8.self).split(separator: " ")
            guard words.count == 5, words[4] == "0" || words[4] == "1", let pid = Int32(words[0]),
                let listener = Int32(words[1]),
                let user = UInt32(words[2]), let workload = UInt64(words[3]), pid > 1, listener >= -1
            else { return nil }
            self.init(pid: pid, listener: listener, user: user, workload: workload, isEntered: words[4] == "1")
        }

        package var text: [UInt8] { Array("\(pid) \(listener) \(user) \(workload) \(isEntered ? 1 : 0)".utf8) }
    }

    /// Takes a process's listener over.
    ///
    /// - Parameter hold: has the guardian hold the tree's listener under its number; true when it does.
    /// - Returns: why not, as one line; `nil` when the tree is supervised.
    mutating func take(_ candidate: Candidate, hold: (TreeTable.Tree) -> Bool) -> String? {
        let listener: Int32
        do {
            let process = try ProcessDescriptor.open(candidate.pid)
            // While the descriptor holds the process its number means nobody else.
            var status = ProcessStatus()
            guard ProcFS.status(of: candidate.pid, into: &status) == 0,
                status.uid.real == candidate.user || candidate.user == 0
            else { return "process \(candidate.pid) is not one of the user that asks" }
            listener = try ProcessDescriptor.copyDescriptor(candidate.listener, of: process.raw).release()
        } catch { return "the listener of process \(candidate.pid) cannot be taken over: \(error)" }
        return take(candidate, listener: listener, hold: hold)
    }

    /// Takes a listener that somebody has sent; it is the keeper's then, whatever comes of it.
    ///
    /// - Returns: why not, as one line; `nil` when the tree is supervised.
    mutating func take(
        _ candidate: Candidate, listener: Int32, hold: (TreeTable.Tree) -> Bool
    ) -> String? {
        var namespace: Int32 = -1
        var isTaken = false
        defer {
            if !isTaken {
                RawDescriptor.close(listener)
                RawDescriptor.close(namespace)
            }
        }
        guard SystemCallListener.isListener(listener) else {
            return "descriptor \(candidate.listener) of process \(candidate.pid) is no seccomp listener"
        }
        board.add(.treesStarted)
        var tree = Self.tree(board.value(.treesStarted), listener, of: candidate.pid)
        tree.workload = candidate.workload
        let isContainer = SnapshotBundle.isContainer(candidate.workload)
        if isContainer {
            guard enforcer.containers.root(of: candidate.workload) != nil else { return "the container is not known" }
            tree.isEntered = candidate.isEntered
        }
        if candidate.workload != 0, !isContainer, seesEvents {
            do {
                namespace = try PathOpening.open("/proc/\(candidate.pid)/ns/uts", flags: OpenFlags.readOnly).release()
            } catch { return "the namespaces of process \(candidate.pid) cannot be told: \(error)" }
            var identity = ObjectStatus()
            let isOwn = ObjectStatus.read(descriptor: namespace, into: &identity) == 0 && !tree.sharesHostName
            guard isOwn, bindings.workload(ofNamespace: identity.inode) == 0 else {
                return "process \(candidate.pid) has no UTS namespace of its own, by which it would be known"
            }
            guard bindings.bind(namespace: identity.inode, to: candidate.workload) else {
                return "there are too many supervised trees with policies of their own"
            }
            tree.namespace = identity.inode
        }
        // Without the guardian the tree's calls would fail with the worker, which is closed, not open; go on.
        if !hold(tree) { AgentLog.warning("the guardian does not hold the listener of tree \(tree.number)") }
        SystemCallListener.wakeSynchronously(listener)
        guard table.add(tree, isStarting: isContainer) else {
            release(tree)
            return "there are \(TreeTable.capacity) supervised trees already"
        }
        isTaken = true
        if namespace >= 0 { namespaces[tree.number] = namespace }
        return showCount()
    }

    /// Takes a tree that a worker before had; closes the listener when there are too many.
    mutating func inherit(_ number: UInt64, listener: Int32, note: [UInt8]) {
        let words = String(decoding: note, as: UTF8.self).split(separator: " ").compactMap { UInt64($0) }
        let flags = words.first ?? 0
        let tree = TreeTable.Tree(
            number: number, listener: listener, honoursCapabilities: flags & 1 != 0, sharesNamespaces: flags & 2 != 0,
            sharesHostName: flags & 4 != 0, workload: words.count > 1 ? words[1] : 0,
            namespace: words.count > 2 ? words[2] : 0)
        if tree.workload != 0, tree.namespace != 0 { _ = bindings.bind(namespace: tree.namespace, to: tree.workload) }
        if !table.add(tree) { RawDescriptor.close(listener) }
        showCount()
    }

    /// What a later worker has to know of a tree.
    static func note(_ tree: TreeTable.Tree) -> [UInt8] {
        let flags =
            (tree.honoursCapabilities ? 1 : 0) | (tree.sharesNamespaces ? 2 : 0) | (tree.sharesHostName ? 4 : 0)
        return Array("\(flags) \(tree.workload) \(tree.namespace)".utf8)
    }

    /// A tree is no more: its processes have ended. Whether its workload, other than a container, has no tree left.
    @discardableResult mutating func release(_ tree: TreeTable.Tree) -> Bool {
        if let pin = namespaces.removeValue(forKey: tree.number) { RawDescriptor.close(pin) }
        guard tree.workload != 0, !SnapshotBundle.isContainer(tree.workload), !table.workloads.contains(tree.workload)
        else { return false }
        if tree.namespace != 0 { bindings.unbind(namespace: tree.namespace) }
        return true
    }

    /// Says how many trees there are.
    @discardableResult func showCount() -> String? {
        board.set(.supervisedTrees, UInt64(table.count))
        return nil
    }

    private static func tree(_ number: UInt64, _ listener: Int32, of process: Int32) -> TreeTable.Tree {
        func isShared(_ namespace: StaticString) -> Bool {
            var (ours, theirs) = (ObjectStatus(), ObjectStatus())
            let found = ProcFS.object(of: getpid(), namespace, into: &ours)
            // A kernel without such namespaces.
            if found == -ENOENT { return true }
            return found == 0 && ProcFS.object(of: process, namespace, into: &theirs) == 0
                && ours.isSameObject(as: theirs)
        }
        let sharesUser = isShared("ns/user")
        return TreeTable.Tree(
            number: number, listener: listener, honoursCapabilities: sharesUser,
            sharesNamespaces: sharesUser && isShared("ns/net") && isShared("ns/ipc") && isShared("ns/cgroup"),
            sharesHostName: isShared("ns/uts"))
    }
}

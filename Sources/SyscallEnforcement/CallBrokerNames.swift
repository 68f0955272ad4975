import FileEnforcement
import Glibc
import LinuxKernel

/// Names that come and go: removing, renaming, linking, making.
extension CallBroker {
    mutating func unlink(
        _ call: PathCall, _ tree: TreeTable.Tree, _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Answer {
        let removesDirectory = call.flags & 0x200 != 0
        if let error = specialName(removesDirectory ? (EINVAL, ENOTEMPTY, EBUSY) : (EISDIR, EISDIR, EISDIR), walk) {
            return .result(-Int(error))
        }
        if walk.lookupError != 0 { return .result(Int(walk.lookupError)) }
        guard walk.object >= 0 else { return .result(-Int(ENOENT)) }
        guard judge.permits(object: walk.object, .write, state) else { return Self.denied }
        let (directory, name) = (walk.directory, walk.name)
        let result = asCaller(tree) { ObjectCalls.unlink(directory, name, flags: Int32(bitPattern: call.flags)) }
        // A process may write its own directories in procfs, where we are somebody else; nothing can be removed there anyway.
        if result == -EACCES, ObjectCalls.filesystem(of: directory)?.type == ObjectCalls.procFilesystem {
            var status = ObjectStatus()
            let isLeaf = ObjectStatus.read(descriptor: walk.object, into: &status) == 0 && !status.isDirectory
            return .result(-Int(removesDirectory && isLeaf ? ENOTDIR : EPERM))
        }
        return .result(Int(result))
    }

    mutating func rename(
        _ call: PathCall, _ tree: TreeTable.Tree, _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Answer {
        // linux/fs.h: RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT, which go only one way together.
        let (keeps, exchanges) = (call.flags & 1 != 0, call.flags & 2 != 0)
        if call.flags & ~7 != 0 || exchanges && call.flags & 5 != 0 { return .result(-Int(EINVAL)) }
        if isElsewhere(walk.directory, newWalk.directory) { return .result(-Int(EXDEV)) }
        if specialName((EBUSY, EBUSY, EBUSY), walk) != nil { return .result(-Int(EBUSY)) }
        if specialName((EBUSY, EBUSY, EBUSY), newWalk) != nil { return .result(-Int(keeps ? EEXIST : EBUSY)) }
        if walk.lookupError != 0 { return .result(Int(walk.lookupError)) }
        guard walk.object >= 0 else { return .result(-Int(ENOENT)) }
        if newWalk.lookupError != 0 { return .result(Int(newWalk.lookupError)) }
        if newWalk.object >= 0, keeps { return .result(-Int(EEXIST)) }
        if newWalk.object < 0, exchanges { return .result(-Int(ENOENT)) }
        guard permitsMove(walk.object, &judge, state),
            judge.permits(name: newWalk.nameBytes, in: newWalk.directory, state)
        else { return Self.denied }
        if newWalk.object >= 0 {
            guard
                exchanges
                    ? permitsMove(newWalk.object, &judge, state) : judge.permits(object: newWalk.object, .write, state)
            else { return Self.denied }
        }
        if exchanges {
            guard judge.permits(name: walk.nameBytes, in: walk.directory, state) else { return Self.denied }
        }
        let (directory, name) = (walk.directory, walk.name)
        let (newDirectory, newName) = (newWalk.directory, newWalk.name)
        // What was not there must not be replaced.
        let flags = call.flags | (newWalk.object < 0 ? 1 : 0)
        let result = asCaller(tree) {
            ObjectCalls.rename(directory, name, to: newDirectory, newName, flags: flags)
        }
        if result == -EEXIST, !keeps, newWalk.object < 0 { return .waits }
        // Nothing happens between two names of one object (rename(2)), not even where we may not look.
        if result == -EACCES, isSame(walk.object, newWalk.object) { return .result(0) }
        // A filesystem without RENAME_NOREPLACE (renameat2(2)).
        if result == -EINVAL, flags != call.flags {
            return .result(
                Int(
                    asCaller(tree) {
                        ObjectCalls.rename(directory, name, to: newDirectory, newName, flags: call.flags)
                    }))
        }
        return .result(Int(result))
    }

    private func permitsMove(
        _ object: Int32, _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Bool {
        guard let status = judge.look(at: object), judge.permitsSeen(object, .write, state) else { return false }
        return !status.isDirectory || judge.permitsMove(state)
    }

    mutating func link(
        _ call: PathCall, _ tree: TreeTable.Tree, _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Answer {
        // linkat(2): another process's descriptor is not one's own to give a name.
        if call.mayBeEmpty, path[0] == 0, !caller.effective.contains(.dacReadSearch) { return .result(-Int(ENOENT)) }
        guard newWalk.object < 0, newWalk.directory >= 0 else { return .result(-Int(EEXIST)) }
        if newWalk.lookupError != 0 { return .result(Int(newWalk.lookupError)) }
        // A slash asks for a directory, which no link makes.
        if newWalk.name[newWalk.nameBytes.count] != 0 { return .result(-Int(ENOENT)) }
        if isElsewhere(walk.object, newWalk.directory) { return .result(-Int(EXDEV)) }
        guard judge.permits(object: walk.object, .write, state),
            judge.permits(name: newWalk.nameBytes, in: newWalk.directory, state)
        else { return Self.denied }
        let (object, directory, name) = (walk.object, newWalk.directory, newWalk.name)
        return .result(Int(asCaller(tree) { ObjectCalls.link(object: object, to: directory, name) }))
    }

    mutating func make(
        _ call: PathCall, _ tree: TreeTable.Tree, _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Answer {
        guard walk.object < 0, walk.directory >= 0 else { return .result(-Int(EEXIST)) }
        if walk.lookupError != 0 { return .result(Int(walk.lookupError)) }
        guard judge.permits(name: walk.nameBytes, in: walk.directory, state) else { return Self.denied }
        let (directory, name) = (walk.directory, walk.name)
        guard let target = newPath.baseAddress else { return Self.denied }
        return .result(
            Int(
                asCaller(tree) {
                    switch call.operation {
                    case .symlink: ObjectCalls.symlink(target, directory, name)
                    case .makeDirectory: ObjectCalls.makeDirectory(directory, name, mode: call.mode)
                    default: ObjectCalls.makeNode(directory, name, mode: call.mode, device: call.number)
                    }
                }))
    }

    private func isSame(_ one: Int32, _ other: Int32) -> Bool {
        var (first, second) = (ObjectStatus(), ObjectStatus())
        return other >= 0 && ObjectStatus.read(descriptor: one, into: &first) == 0
            && ObjectStatus.read(descriptor: other, into: &second) == 0 && first.isSameObject(as: second)
    }

    /// Whether two objects lie on different mounts, between which nothing is renamed or linked.
    private func isElsewhere(_ one: Int32, _ other: Int32) -> Bool {
        var (first, second) = (ObjectStatus(), ObjectStatus())
        return one >= 0 && other >= 0 && ObjectStatus.read(descriptor: one, into: &first) == 0
            && ObjectStatus.read(descriptor: other, into: &second) == 0 && first.mountID != second.mountID
    }

    /// The errno for a path whose last name is `.`, `..` or the root's.
    private func specialName(_ errors: (dot: Int32, dots: Int32, root: Int32), _ walk: PathWalk) -> Int32? {
        // `/` alone, or what a link of procfs led to.
        guard walk.directory >= 0 else { return errors.root }
        let name = walk.nameBytes
        guard name.count <= 2, name.allSatisfy({ $0 == UInt8(ascii: ".") }) else { return nil }
        return name.count == 1 ? errors.dot : errors.dots
    }
}

import FileEnforcement
import Glibc
import LinuxKernel

/// Lengths, modes, owners, attributes, times.
extension CallBroker {
    mutating func change(
        _ call: PathCall, _ tree: TreeTable.Tree, _ thread: Int32, _ judge: inout CallJudge,
        _ state: UnsafePointer<EnforcementState>
    ) -> Answer {
        var moments = CallTimes()
        if call.operation == .setTimes {
            let error = moments.read(call, thread)
            if error != 0 { return .result(Int(error)) }
        }
        if call.operation == .truncate {
            let error = truncationError(Int64(bitPattern: call.number), thread)
            if error != 0 { return .result(-Int(error)) }
        }
        let object = walk.object
        guard judge.look(at: object) != nil, permitsSeen(object, .write, &judge, state) else { return Self.denied }
        guard let name = attributeName.baseAddress else { return Self.denied }
        let contents = UnsafeRawBufferPointer(rebasing: value[..<Int(min(call.valueLength, UInt64(value.count)))])
        if call.operation == .truncate {
            // A lease can keep it waiting (fcntl(2), F_SETLEASE).
            let limit = waitLimit
            let result = asCaller(tree) {
                limit.run { ObjectCalls.truncate(object: object, length: Int64(bitPattern: call.number)) }
            }
            return result == -EINTR ? .waits : .result(Int(result))
        }
        return .result(
            Int(
                asCaller(tree) {
                    switch call.operation {
                    case .setMode: ObjectCalls.setMode(object, mode: call.mode)
                    case .setOwner: ObjectCalls.setOwner(object, user: call.user, group: call.group)
                    case .setAttribute:
                        ObjectCalls.setAttribute(
                            object, name: name, value: contents, flags: Int32(bitPattern: call.flags))
                    case .removeAttribute: ObjectCalls.removeAttribute(object, name: name)
                    default: moments.apply(to: object)
                    }
                }))
    }

    /// What truncate(2) says of the object and of the caller's own limit; a positive errno or 0.
    private func truncationError(_ length: Int64, _ thread: Int32) -> Int32 {
        var status = ObjectStatus()
        guard ObjectStatus.read(descriptor: walk.object, into: &status) == 0 else { return EACCES }
        if status.isDirectory { return EISDIR }
        if !status.isRegularFile { return EINVAL }
        return UInt64(length) > ProcFS.fileSizeLimit(of: thread) ? EFBIG : 0
    }
}

import FileEnforcement
import LinuxKernel
import PolicyEngine

/// Who starts programs outside of a tree is not to be asked by it, whatever the rules say: over a socket (`ManagerSockets`), or by a file
/// (`ManagerFiles`).
extension CallJudge {
    /// Whether it matters to whom the caller connects by a name. A container has the sockets that it was given.
    mutating func asksPeers(_ state: UnsafePointer<EnforcementState>) -> Bool {
        asks && !isContainer && (guardsManagers(state) || hasFileRules(state))
    }

    /// Whether a name of AF_UNIX without a place in a filesystem may be connected to.
    ///
    /// - Parameter name: with the zero byte that it begins with. Of one that may not that becomes `@`, as people write it (unix(7)).
    mutating func permits(
        abstractName name: UnsafeMutableRawBufferPointer, _ state: UnsafePointer<EnforcementState>
    ) -> Bool {
        guard guardsManagers(state), ManagerSockets.contain(abstract: UnsafeRawBufferPointer(rebasing: name[1...]))
        else { return true }
        name[0] = UInt8(ascii: "@")
        return note(
            .failed(.managerAsked, .file, state.pointee.failures), state, resource: UnsafeRawBufferPointer(name))
    }

    /// Whether what was just asked about may be connected to, written or changed, as far as managers are concerned.
    ///
    /// - Parameter isNew: it is a name that is to be made, not an object.
    mutating func permitsManager(_ state: UnsafePointer<EnforcementState>, isNew: Bool = false) -> Bool {
        guard guardsManagers(state) else { return true }
        if !isNew, decider.facts.object.isSocket {
            guard managers.contain(decider.facts.object, lastPath) else { return true }
        } else {
            guard let path = lastPath, ManagerFiles.contain(path) else { return true }
        }
        return refuseManager(state)
    }

    /// Whether the directory that was just asked about may get another name, as far as it leads to managers.
    mutating func permitsManagersMove(_ state: UnsafePointer<EnforcementState>) -> Bool {
        guard guardsManagers(state), let path = lastPath, ManagerFiles.lie(below: path) || managers.lie(below: path)
        else { return true }
        return refuseManager(state)
    }

    private mutating func refuseManager(_ state: UnsafePointer<EnforcementState>) -> Bool {
        note(.failed(.managerAsked, .file, state.pointee.failures), state)
    }

    private func guardsManagers(_ state: UnsafePointer<EnforcementState>) -> Bool {
        asks && !isContainer && !state.pointee.failures.allows(.managerAsked)
    }

    private var isContainer: Bool { SnapshotBundle.isContainer(decider.facts.knownWorkload ?? SnapshotBundle.host) }

    /// Whether rules are about files, so that a socket's name can be one of theirs.
    private mutating func hasFileRules(_ state: UnsafePointer<EnforcementState>) -> Bool {
        state.pointee.snapshot.hasRules(in: .file) || state.pointee.sees(.file)
            || state.pointee.workloads.snapshot(of: decider.facts.workload(state))?.hasRules(in: .file) == true
    }
}

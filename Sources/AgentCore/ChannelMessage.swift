/// A message between two roles: one SOCK_SEQPACKET datagram, up to one descriptor with it. Larger contents travel as sealed
/// memory.
package struct ChannelMessage: Equatable {
    /// What a message says.
    package enum Kind: UInt8 {
        // Front → worker
        /// Sealed memory: NUL-terminated paths whose names without symlinks are wanted.
        case resolve = 1
        /// Sealed memory: a snapshot to put in force.
        case snapshot
        /// A process waits to be supervised; text = `TreeKeeper.Candidate`.
        case supervise
        /// Which workloads are alive?
        case askWorkloads
        /// The container `number` has been set up (text = `ContainerOrigin`): its names are going to be asked for.
        case container
        /// Sealed memory: a bundle of sets of policies, to be added to those in force.
        case sets
        /// The container `number` is to be decided by a set of policies; text = numbers of the question and of the set.
        case startContainer
        /// The container `number` is decided by its calls from now on.
        case superviseContainer
        /// The container `number` is no more, or not going to be.
        case dropContainer
        // Worker → front
        /// Answer to `supervise`; text says why not.
        case supervised
        /// Answer to `askWorkloads`: text = their numbers, with blanks between.
        case workloads
        /// The processes of the workload `number` have ended.
        case workloadEnded
        /// Answer to `startContainer`, with the question's number; text says why not; sealed memory: plan notes.
        case containerStarted
        /// In the container `number` names that rules use may lead elsewhere now; sealed memory: plan notes.
        case containerChanged
        /// A worker has started and has no snapshot of this front's.
        case hello
        /// Sealed memory: literal and canonical path, NUL-terminated, in turn.
        case resolved
        /// The snapshot with this number is in force; sealed memory: plan notes.
        case activated
        /// The snapshot with this number was refused; text says why.
        case refused
        /// Names that rules use may lead elsewhere now.
        case namesChanged
        /// New plan notes for the snapshot in force.
        case planned
        // Worker → guardian
        /// The worker has the snapshot in force that the guardian kept: what it kept besides is to come.
        case restored
        /// The worker serves its group.
        case ready
        /// Sealed memory: the snapshot now in force, kept for the next worker.
        case keepSnapshot
        /// A new permission group, to be held before its first mark.
        case holdGroup
        /// The group before the newest is empty and may be closed.
        case dropGroup
        /// The listener of the tree `number`, to be held.
        case holdListener
        /// The tree `number` has ended.
        case dropListener
        /// Sealed memory: sets of policies besides those of the snapshot, kept for the next worker.
        case keepSets
        /// What a later worker has to know of the container `number`.
        case holdContainer
        /// The container `number` has ended.
        case forgetContainer
        /// Verdict on an adopted event: number = event descriptor, text[0] = 1 allow, 0 deny.
        case adoptedVerdict
        // Guardian → worker
        /// The group is held.
        case groupHeld
        /// The listener is held.
        case listenerHeld
        /// The listener of the tree `number`, which a worker before had.
        case listener
        /// Sealed memory: sets of policies that a worker before had besides those of the snapshot.
        case inheritSets
        /// The container `number`, which a worker before had; text = what it told of it.
        case inheritContainer
        /// There are no more of them.
        case inherited
        /// An event that arrived while there was no worker; number = event descriptor in the guardian, text = mask, thread and group.
        case adopt
        /// No more adopted events; the queue is the worker's.
        case serve
        /// Stop in order.
        case stop
        // Guardian → front
        /// A policy file; text = its name.
        case policyFile
        /// A policy file that could not be opened; text = name, NUL, reason.
        case policyUnreadable
        /// All files of this scan were sent; number = their count.
        case policyScanEnd
        /// The alerts file, opened anew.
        case alertsFile
        /// A connection that the gateway has the other end of.
        case gateway
        /// The status board of the worker in the user namespace `number`, which is new to this front.
        case namespaceBoard
        /// The socket of that worker.
        case namespaceWorker
        /// Answer to `findNamespace`, with the question's number: text = number of the user namespace, 0 for the agent's own, or why not.
        case namespace
        /// A role's process has started; number = pid, text[0] = 1 worker, 2 front, text[1…] reason words.
        case roleStarted
        // Front → guardian
        /// Send all policy files.
        case scanPolicies
        /// Move the alerts file away and open a new one.
        case rotateAlerts
        /// Enforcement is on; number = generation.
        case frontReady
        /// The start failed; text = one line.
        case startFailed
        /// Stop enforcing and end the agent.
        case unlock
        /// Which user namespace is the process in whose id is the text? It needs a worker there.
        case findNamespace
        /// The user namespace `number` needs no worker any more.
        case dropNamespace
    }

    package var kind: Kind
    package var number: UInt64 = 0
    package var text: [UInt8] = []

    package init(_ kind: Kind, number: UInt64 = 0, text: [UInt8] = []) {
        self.kind = kind
        self.number = number
        self.text = text
    }

    package init(_ kind: Kind, number: UInt64 = 0, text: String) {
        self.init(kind, number: number, text: Array(text.utf8))
    }

    /// Most bytes of a message.
    package static let limit = 16384

    package var bytes: [UInt8] {
        var result = [kind.rawValue]
        for shift in stride(from: 0, to: 64, by: 8) { result.append(UInt8(truncatingIfNeeded: number >> shift)) }
        return result + text.prefix(Self.limit - 9)
    }

    /// Reads a message; `nil` for anything that `bytes` does not make.
    package init?(bytes: [UInt8]) {
        guard bytes.count >= 9, bytes.count <= Self.limit, let kind = Kind(rawValue: bytes[0]) else { return nil }
        self.kind = kind
        for index in 0..<8 { number |= UInt64(bytes[1 + index]) << (8 * UInt64(index)) }
        text = Array(bytes[9...])
    }

    /// The text as a string, for people.
    package var string: String { String(decoding: text, as: UTF8.self) }
}

import LinuxKernel
import Synchronization

/// What is done for threads that a signal can call away before they have the answer. The kernel makes such a call again when the signal was
/// handled, with the same registers (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, Linux 5.19, keeps that from happening; runtimes do not set it): it gets
/// the first one's answer then, and is not done twice.
final class UnansweredCalls: Sendable {
    /// How many are kept; the oldest goes for one more.
    private static let capacity = 64
    /// Nanoseconds that one is kept: longer than a handler takes, shorter than a thread's number needs to come back.
    private static let lifetime: UInt64 = 5_000_000_000

    private struct Entry: Sendable {
        var call: SystemCallNotification
        /// Of what the arguments point to: a program that does not make the call again may make another one with the same registers.
        var arguments: UInt64
        /// `nil` while it is being done.
        var answer: CallBroker.Answer?
        var since: UInt64
    }

    /// What is known of a call that comes.
    enum Known {
        /// Nothing: it is begun, and `finish` is next.
        case new
        /// It is being done for an earlier time that it came.
        case underWay
        /// It was done.
        case done(CallBroker.Answer)
    }

    private let entries = Mutex<[Entry]>([])

    init() { entries.withLock { $0.reserveCapacity(Self.capacity + 1) } }

    /// Looks for a call, and begins it if it is new.
    func begin(_ call: SystemCallNotification, _ arguments: UInt64) -> Known {
        let now = KernelClock.monotonic
        return entries.withLock { entries in
            while let oldest = entries.first, oldest.answer != nil, now &- oldest.since > Self.lifetime {
                Self.close(entries.removeFirst())
            }
            guard
                let index = entries.firstIndex(where: { $0.arguments == arguments && $0.call.isSameCall(as: call) })
            else {
                entries.append(Entry(call: call, arguments: arguments, answer: nil, since: now))
                if entries.count > Self.capacity { Self.close(entries.removeFirst()) }
                return .new
            }
            guard let answer = entries[index].answer else {
                return entries[index].call.id == call.id ? .new : .underWay
            }
            // It may be called away again.
            (entries[index].call, entries[index].answer) = (call, nil)
            return .done(answer)
        }
    }

    /// A call that was begun has come to its end.
    ///
    /// - Parameter answer: what nobody has got; a descriptor in it is this object's then. `nil` when there is nothing to be kept.
    func finish(_ call: SystemCallNotification, _ answer: CallBroker.Answer?) {
        let now = KernelClock.monotonic
        entries.withLock { entries in
            guard let index = entries.firstIndex(where: { $0.call.id == call.id && $0.answer == nil }) else {
                if let answer { Self.close(Entry(call: call, arguments: 0, answer: answer, since: now)) }
                return
            }
            guard let answer else {
                entries.remove(at: index)
                return
            }
            (entries[index].answer, entries[index].since) = (answer, now)
        }
    }

    private static func close(_ entry: Entry) {
        if case .descriptor(let descriptor, _)? = entry.answer { RawDescriptor.close(descriptor) }
    }
}

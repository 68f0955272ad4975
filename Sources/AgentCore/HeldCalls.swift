import FileEnforcement
import Glibc
import LinuxKernel

/// The system calls of supervised trees that the worker has taken and not answered, as the guardian answers them.
struct HeldCalls {
    /// How many notifications around the last known one are tried. Threads take them side by side; ids of threads that were
    /// killed while they waited are skipped.
    private static let reach: (before: UInt64, after: UInt64) = (64, 256)

    let board: StatusBoard
    /// By tree.
    let listeners: [UInt64: Int32]
    let failures: FailureTable

    /// What became of a dead worker's calls.
    struct Outcome: Equatable {
        /// How many were answered.
        var answered = 0
        /// Trees whose first call may have been taken, and nobody knows its id.
        var unknown: Set<UInt64> = []
    }

    /// Answers the calls that are held for longer than `deadline` nanoseconds as a row of the failure table says.
    ///
    /// - Returns: how many.
    func answerOverdue(at now: UInt64, deadline: UInt64) -> Int {
        var count = 0
        for index in 0..<StatusBoard.heldSlots {
            guard let held = board.heldCall(index), held.since != StatusBoard.withoutDeadline, now > held.since,
                now - held.since > deadline, held.call != 0, let listener = listeners[held.tree]
            else { continue }
            if answer(listener, held.call, .deadlineExpired) { count += 1 }
        }
        return count
    }

    /// Answers what a dead worker had taken. Whatever cannot be answered otherwise is answered by closing its tree's listener.
    static func settle(_ board: StatusBoard, _ estate: inout WorkerEstate, _ failures: FailureTable) {
        let outcome = HeldCalls(board: board, listeners: estate.listeners, failures: failures).settle()
        for _ in 0..<outcome.answered { board.count(.workerLost) }
        for tree in outcome.unknown {
            AgentLog.error(
                "tree \(tree): its first call was lost with the worker; what is asked about is denied from now on")
            estate.dropListener(tree)
        }
    }

    /// Answers what a dead worker had taken.
    func settle() -> Outcome {
        var outcome = Outcome()
        for index in 0..<StatusBoard.heldSlots {
            guard let held = board.heldCall(index) else { continue }
            board.letGo(index)
            guard let listener = listeners[held.tree] else { continue }
            if held.call != 0 {
                if answer(listener, held.call, .workerLost) { outcome.answered += 1 }
                continue
            }
            guard let last = board.lastCall(of: held.tree) else {
                outcome.unknown.insert(held.tree)
                continue
            }
            // The kernel refuses an answer to what nobody has taken (EINPROGRESS) and to what is not there (ENOENT).
            for step in 0...Self.reach.before + Self.reach.after
            where answer(listener, last &- Self.reach.before &+ step, .workerLost) { outcome.answered += 1 }
        }
        return outcome
    }

    private func answer(_ listener: Int32, _ id: UInt64, _ row: FailureRow) -> Bool {
        failures.allows(row)
            ? SystemCallListener.proceed(listener, id, because: .failureTable) == 0
            : SystemCallListener.finish(listener, id, result: -Int(EACCES)) == 0
    }
}

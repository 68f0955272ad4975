import FileEnforcement
import Glibc
import LinuxKernel

/// The system call of a supervised tree that the worker has taken and not answered, as the guardian answers it.
struct HeldCalls {
    /// How many notifications beyond the last known one are tried. One can have been taken; ids of threads that were killed
    /// while they waited are skipped.
    private static let reach: UInt64 = 256

    let board: StatusBoard
    /// By tree.
    let listeners: [UInt64: Int32]
    let failures: FailureTable

    /// What became of a dead worker's call.
    enum Outcome: Equatable {
        case nothing
        case answered
        /// The tree's first call may have been taken, and nobody knows its id.
        case unknown(UInt64)
    }

    /// Answers the call that is held now as a row of the failure table says; false when there is none.
    func answer(_ row: FailureRow) -> Bool {
        let id = board.value(.heldCall)
        guard board.value(.heldCallSince) != 0, id != 0, let listener = listeners[board.value(.heldCallTree)] else {
            return false
        }
        return answer(listener, id, row)
    }

    /// Answers what a dead worker had taken.
    func settle() -> Outcome {
        guard board.value(.heldCallSince) != 0 else { return .nothing }
        let tree = board.value(.heldCallTree)
        guard let listener = listeners[tree] else { return .nothing }
        guard let last = board.lastCall(of: tree) else { return .unknown(tree) }
        // The kernel refuses an answer to what nobody has taken (EINPROGRESS) and to what is not there (ENOENT).
        var isAnswered = false
        for step in 0...Self.reach where answer(listener, last &+ step, .workerLost) { isAnswered = true }
        return isAnswered ? .answered : .nothing
    }

    private func answer(_ listener: Int32, _ id: UInt64, _ row: FailureRow) -> Bool {
        failures.allows(row)
            ? SystemCallListener.proceed(listener, id, because: .failureTable) == 0
            : SystemCallListener.finish(listener, id, result: -Int(EACCES)) == 0
    }
}

import EventSpool
import LinuxKernel
import Synchronization

/// Appends records to the spool that the gateway reads, and wakes it.
public final class SpoolSink: AlertSink {
    private struct State: ~Copyable, Sendable {
        var writer: SpoolWriter
        var lastProblem: Int32 = 0
    }

    private let state: Mutex<State>
    private let wake: Int32
    private let report: @Sendable (String) -> Void

    /// - Parameters:
    ///   - wake: eventfd that is signalled when records can be read.
    ///   - report: told once when records begin to be lost, and once when they are not any more.
    public init(
        directory: String, limits: SpoolLimits = SpoolLimits(), wake: Int32,
        report: @escaping @Sendable (String) -> Void
    ) throws(SpoolError) {
        state = Mutex(State(writer: try SpoolWriter(directory: directory, limits: limits)))
        self.wake = wake
        self.report = report
    }

    /// See `AlertSink`. The first byte of a line is the kind.
    public func write(_ line: [UInt8]) {
        guard let first = line.first, let kind = SpoolKind(rawValue: first) else { return }
        state.withLock { _ = $0.writer.append(kind, Array(line[1...])) }
    }

    /// See `AlertSink`. What cannot be written is lost and counted; nothing is left behind.
    @discardableResult public func flush() -> Bool {
        let message = state.withLock { state -> String? in
            guard state.writer.counters.waiting > 0 else { return nil }
            let problem = state.writer.flush() ? 0 : state.writer.counters.lastError
            guard problem != state.lastProblem else { return nil }
            state.lastProblem = problem
            return problem == 0
                ? "the spool is written again; \(state.writer.counters.lost) records were lost"
                : "the spool is not written: \(KernelError("write", errno: problem)); records are lost to gRPC clients"
        }
        EventDescriptor.signal(wake)
        if let message { report(message) }
        return true
    }

    /// See `AlertSink`.
    public var counters: SinkCounters {
        state.withLock { state in
            let spool = state.writer.counters
            var counters = SinkCounters()
            counters.written = spool.written
            counters.lost = spool.lost
            counters.pending = spool.waiting
            counters.lastError = spool.lastError
            return counters
        }
    }
}

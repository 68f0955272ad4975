import LinuxKernel
import Synchronization

/// A bounded queue before one sink, so that a slow sink costs its own lines and nobody else's time.
///
/// The last part of the room is kept for records of denied operations: a flood of audits cannot push them out.
public final class SinkQueue: Sendable {
    private struct State: Sendable {
        var lines: [[UInt8]] = []
        /// Where the oldest line is; the array is compacted when its dead front is the larger half.
        var head = 0
        var bytes = 0
        var offered: UInt64 = 0
        var messages: UInt64 = 0
        var overflowed: UInt64 = 0
        var abandoned: UInt64 = 0
        var isStopping = false
        var thread: KernelThread?

        var count: Int { lines.count - head }
    }

    /// Name in the account.
    public let name: String
    /// What the sink is to be given.
    public let encoding: AlertEncoding
    private let sink: any AlertSink
    private let capacity: Int
    private let capacityBytes: Int
    private let reserved: Int
    private let state = Mutex(State())
    private let wake = WakeSignal()

    /// Creates an empty queue.
    ///
    /// - Parameters:
    ///   - capacity: most lines that wait.
    ///   - capacityBytes: most bytes that wait.
    ///   - reservedForBlock: lines of `capacity` (and the same share of `capacityBytes`) that only block records may use.
    public init(
        name: String, sink: any AlertSink, encoding: AlertEncoding = .camelCase, capacity: Int = 8192,
        capacityBytes: Int = 16 << 20, reservedForBlock: Int = 1024
    ) {
        self.name = name
        self.sink = sink
        self.encoding = encoding
        self.capacity = max(1, capacity)
        self.capacityBytes = max(1, capacityBytes)
        reserved = min(max(0, reservedForBlock), max(1, capacity) - 1)
    }

    /// Queues a line, or counts it as overflowed when there is no room. Never waits for the sink.
    @discardableResult public func offer(_ line: [UInt8], isBlock: Bool, isMessage: Bool = false) -> Bool {
        let (isTaken, wasEmpty) = state.withLock { state -> (Bool, Bool) in
            state.offered += 1
            if isMessage { state.messages += 1 }
            let usable = isBlock ? capacity : capacity - reserved
            let usableBytes = isBlock ? capacityBytes : capacityBytes - capacityBytes / capacity * reserved
            guard !state.isStopping, state.count < usable, state.bytes + line.count <= usableBytes else {
                state.overflowed += 1
                return (false, false)
            }
            state.lines.append(line)
            state.bytes += line.count
            return (true, state.count == 1)
        }
        if wasEmpty { wake.signal() }
        return isTaken
    }

    /// Gives waiting lines to the sink, on the caller's thread.
    ///
    /// - Returns: the number of lines given.
    @discardableResult public func drain(limit: Int = .max) -> Int {
        var given = 0
        while given < limit, let line = takeOldest() {
            sink.write(line)
            given += 1
        }
        sink.flush()
        return given
    }

    /// Starts the thread that drains. Returns false when it runs already or cannot be created.
    @discardableResult public func start() -> Bool {
        state.withLock { state in
            guard state.thread == nil, !state.isStopping else { return false }
            guard let thread = try? KernelThread.start(name: "sink-" + name, { [self] in run() }) else { return false }
            state.thread = thread
            return true
        }
    }

    /// Takes no more lines, gives those that wait to the sink (on the thread if there is one), and returns when that is
    /// done. A sink that fails costs its patience once; the lines behind it are abandoned and counted.
    public func stop() {
        let thread = state.withLock { state -> KernelThread? in
            state.isStopping = true
            defer { state.thread = nil }
            return state.thread
        }
        wake.signal()
        thread?.join()
        let lostBefore = sink.counters.lost
        while let line = takeOldest() {
            sink.write(line)
            if sink.counters.lost > lostBefore { break }
        }
        sink.flush()
        state.withLock { state in
            state.abandoned += UInt64(state.count)
            state.lines = []
            state.head = 0
            state.bytes = 0
        }
    }

    /// What became of the lines so far.
    public var account: SinkAccount {
        let counters = sink.counters
        return state.withLock { state in
            SinkAccount(
                name: name, offered: state.offered, sent: counters.written, overflowed: state.overflowed,
                failed: counters.lost + state.abandoned, lastError: counters.lastError, messages: state.messages)
        }
    }

    private func run() {
        while true {
            wake.wait()
            while !state.withLock({ $0.isStopping }), let line = takeOldest() { sink.write(line) }
            if state.withLock({ $0.isStopping }) { return }
            sink.flush()
        }
    }

    private func takeOldest() -> [UInt8]? {
        state.withLock { state in
            guard state.count > 0 else { return nil }
            var line: [UInt8] = []
            swap(&line, &state.lines[state.head])
            state.head += 1
            state.bytes -= line.count
            if state.head * 2 >= state.lines.count {
                state.lines.removeFirst(state.head)
                state.head = 0
            }
            return line
        }
    }
}

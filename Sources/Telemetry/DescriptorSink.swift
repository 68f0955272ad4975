import Glibc
import Synchronization

/// Writes lines to a descriptor: standard output, a pipe, a socket, or a file whose directory this process may not touch.
///
/// A line is written whole or not at all, unless the destination fails in the middle of it; then its end goes out before
/// anything else. Nobody but the sink may write to the same file at the same time without O_APPEND.
///
/// It cannot open files: when its file is full it says so, goes on writing, and changes over between two lines once
/// somebody with more rights gave it a new descriptor by `adopt(_:)`.
public final class DescriptorSink: AlertSink {
    private struct State: Sendable {
        var writer: DescriptorWriter
        var ownsDescriptor: Bool
        /// The line whose end is still to be written, with its newline.
        var rest: [UInt8] = []
        var restOffset = 0
        var size: UInt64
        /// Size at which a new file is asked for.
        var askAt: UInt64
        var isAsking = false
        var counters = SinkCounters()
        var unanswered: UInt64 = 0
        var buffer: [UInt8] = []
    }

    private let state: Mutex<State>
    private let maximumBytes: UInt64
    private let patience: Int32
    private let onFull: (@Sendable (DescriptorSink) -> Void)?
    /// What `adopt` left for the next line; negative when there is nothing.
    private let incoming = Atomic<Int32>(-1)

    /// Creates a sink.
    ///
    /// - Parameters:
    ///   - descriptor: where to write.
    ///   - ownsDescriptor: whether the sink closes it.
    ///   - maximumBytes: size at which a new file is asked for; 0 = never. The size the file has now counts.
    ///   - patience: milliseconds a write may wait for a slow reader.
    ///   - onFull: asks for a new file, without waiting for it; `adopt` may be called from inside. Asked again after
    ///     another eighth of `maximumBytes`.
    public init(
        descriptor: Int32, ownsDescriptor: Bool, maximumBytes: UInt64 = 0, patience: Int32 = 100,
        onFull: (@Sendable (DescriptorSink) -> Void)? = nil
    ) {
        let writer = DescriptorWriter(descriptor)
        self.maximumBytes = maximumBytes
        self.patience = patience
        self.onFull = onFull
        state = Mutex(
            State(writer: writer, ownsDescriptor: ownsDescriptor, size: writer.initialSize, askAt: maximumBytes))
    }

    /// Writes to standard output, which stays open.
    public static func standardOutput() -> DescriptorSink {
        DescriptorSink(descriptor: STDOUT_FILENO, ownsDescriptor: false)
    }

    deinit {
        state.withLock { if $0.ownsDescriptor { close($0.writer.descriptor) } }
        let unused = incoming.load(ordering: .relaxed)
        if unused >= 0 { close(unused) }
    }

    /// Lets the sink write to `descriptor`, which it then owns, from the next line on. Never waits; may be called from any
    /// thread.
    public func adopt(_ descriptor: Int32) {
        let unused = incoming.exchange(descriptor, ordering: .acquiringAndReleasing)
        if unused >= 0 { close(unused) }
    }

    /// How often a new file had not come when it was asked for again.
    public var unansweredRequests: UInt64 { state.withLock { $0.unanswered } }

    /// See `AlertSink`.
    public var counters: SinkCounters { state.withLock { $0.counters } }

    /// See `AlertSink`.
    public func write(_ line: [UInt8]) {
        state.withLock { state in
            changeOver(&state)
            guard finishRest(&state) else {
                state.counters.lost += 1
                return
            }
            let length = UInt64(line.count) + 1
            if maximumBytes > 0, state.size > 0, state.size + length > state.askAt { ask(&state) }
            state.buffer.removeAll(keepingCapacity: true)
            state.buffer.append(contentsOf: line)
            state.buffer.append(UInt8(ascii: "\n"))
            let (offset, error) = state.writer.write(state.buffer, from: 0, patience: patience)
            state.size += UInt64(offset)
            if offset == state.buffer.count {
                state.counters.written += 1
            } else {
                state.counters.lastError = error
                if offset == 0 {
                    state.counters.lost += 1
                } else {
                    state.rest = state.buffer
                    state.restOffset = offset
                    state.counters.pending = 1
                }
            }
        }
    }

    /// See `AlertSink`.
    @discardableResult public func flush() -> Bool {
        state.withLock { state in
            changeOver(&state)
            return finishRest(&state)
        }
    }

    private func finishRest(_ state: inout State) -> Bool {
        guard !state.rest.isEmpty else { return true }
        let before = state.restOffset
        let (offset, error) = state.writer.write(state.rest, from: before, patience: patience)
        state.size += UInt64(offset - before)
        state.restOffset = offset
        guard offset == state.rest.count else {
            state.counters.lastError = error
            return false
        }
        state.rest = []
        state.counters.pending = 0
        state.counters.written += 1
        return true
    }

    private func ask(_ state: inout State) {
        if state.isAsking { state.unanswered += 1 }
        state.isAsking = true
        // Alerts matter more than the limit; asking again for every line would not help either.
        state.askAt = state.size + max(1, maximumBytes / 8)
        onFull?(self)
        changeOver(&state)
    }

    /// Takes what `adopt` left. The end of a line that was begun still goes to the old destination, or nowhere.
    private func changeOver(_ state: inout State) {
        guard incoming.load(ordering: .relaxed) >= 0 else { return }
        let descriptor = incoming.exchange(-1, ordering: .acquiringAndReleasing)
        guard descriptor >= 0 else { return }
        if !finishRest(&state) {
            state.rest = []
            state.counters.pending = 0
            state.counters.lost += 1
        }
        if state.ownsDescriptor { close(state.writer.descriptor) }
        state.writer = DescriptorWriter(descriptor)
        state.ownsDescriptor = true
        state.size = state.writer.initialSize
        state.isAsking = false
        // A file that is as good as full (it could not be moved) must not be asked about line by line.
        state.askAt = max(maximumBytes, state.size + max(1, maximumBytes / 8))
    }
}

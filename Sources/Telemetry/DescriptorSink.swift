import Glibc
import Synchronization

/// Writes lines to a descriptor: standard output, a pipe, a socket, or a file whose directory this process may not touch.
///
/// A line is written whole or not at all, unless the destination fails in the middle of it; then its end goes out before
/// anything else. Nobody but the sink may write to the same file at the same time without O_APPEND.
public final class DescriptorSink: AlertSink {
    /// Why a new descriptor is wanted.
    public enum ReopenReason: Sendable, Hashable {
        /// The file reached its size limit: move it away and open a new one.
        case sizeLimit
        /// Somebody moved the file already: open its name again.
        case requested
    }

    private struct State: Sendable {
        var writer: DescriptorWriter
        var ownsDescriptor: Bool
        /// The line whose end is still to be written, with its newline.
        var rest: [UInt8] = []
        var restOffset = 0
        var size: UInt64
        var rotateAt: UInt64
        var counters = SinkCounters()
        var failedRotations: UInt64 = 0
        var buffer: [UInt8] = []
    }

    private let state: Mutex<State>
    private let maximumBytes: UInt64
    private let patience: Int32
    private let newDescriptor: (@Sendable (ReopenReason) -> Int32?)?

    /// Creates a sink.
    ///
    /// - Parameters:
    ///   - descriptor: where to write.
    ///   - ownsDescriptor: whether the sink closes it.
    ///   - maximumBytes: size at which a new file is asked for; 0 = never. The size the file has now counts.
    ///   - patience: milliseconds a write may wait for a slow reader.
    ///   - reopen: gives a new descriptor, which the sink then owns, or `nil`. It may ask a process with more rights. Called
    ///     with the sink locked: it must not use the sink.
    public init(
        descriptor: Int32, ownsDescriptor: Bool, maximumBytes: UInt64 = 0, patience: Int32 = 100,
        reopen: (@Sendable (ReopenReason) -> Int32?)? = nil
    ) {
        let writer = DescriptorWriter(descriptor)
        self.maximumBytes = maximumBytes
        self.patience = patience
        newDescriptor = reopen
        state = Mutex(
            State(
                writer: writer, ownsDescriptor: ownsDescriptor, size: writer.initialSize, rotateAt: maximumBytes))
    }

    /// Writes to standard output, which stays open.
    public static func standardOutput() -> DescriptorSink {
        DescriptorSink(descriptor: STDOUT_FILENO, ownsDescriptor: false)
    }

    deinit {
        state.withLock { if $0.ownsDescriptor { close($0.writer.descriptor) } }
    }

    /// How often a new file was due and could not be had; lines went on into the old one.
    public var failedRotations: UInt64 { state.withLock { $0.failedRotations } }

    /// See `AlertSink`.
    public var counters: SinkCounters { state.withLock { $0.counters } }

    /// See `AlertSink`.
    public func write(_ line: [UInt8]) {
        state.withLock { state in
            guard finishRest(&state) else {
                state.counters.lost += 1
                return
            }
            let length = UInt64(line.count) + 1
            if maximumBytes > 0, state.size > 0, state.size + length > state.rotateAt { rotate(&state) }
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
        state.withLock { finishRest(&$0) }
    }

    /// See `AlertSink`.
    @discardableResult public func reopen() -> Bool {
        state.withLock { state in
            _ = finishRest(&state)
            return replace(&state, .requested)
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

    private func rotate(_ state: inout State) {
        guard !replace(&state, .sizeLimit) else { return }
        state.failedRotations += 1
        // Alerts matter more than the limit; asking again for every line would not help either.
        state.rotateAt = state.size + max(1, maximumBytes / 8)
    }

    private func replace(_ state: inout State, _ reason: ReopenReason) -> Bool {
        guard let descriptor = newDescriptor?(reason), descriptor >= 0 else { return false }
        if state.ownsDescriptor { close(state.writer.descriptor) }
        if !state.rest.isEmpty {
            // Its beginning is in the old file; the end alone would spoil the new one.
            state.rest = []
            state.counters.pending = 0
            state.counters.lost += 1
        }
        state.writer = DescriptorWriter(descriptor)
        state.ownsDescriptor = true
        state.size = state.writer.initialSize
        state.rotateAt = maximumBytes
        return true
    }
}

import EventSpool
import Foundation
import RPCServices
import Synchronization
import WireProtocol

/// What is to be sent to one browser next: a second's worth at most, whatever there is.
final class EventBatch: Sendable {
    private struct State {
        var text = ""
        var gap: UInt64 = 0
        var place = ""
        var second = ContinuousClock.now
        var inSecond = 0
        var isEnded = false
        var waiter: CheckedContinuation<Void, Never>?
        var drained: CheckedContinuation<Void, Never>?
    }
    private let state = Mutex(State())
    private let perSecond: Int

    init(perSecond: Int) { self.perSecond = perSecond }

    /// Adds a record, or counts it.
    func add(_ record: RecordView, _ filter: RecordFilter) {
        let matches = filter.matches(record)
        state.withLock { state in
            state.gap += record.missed
            guard matches || record.missed > 0 else { return }
            state.place = "\(SpoolName.text(record.spool))-\(record.sequence)"
            let now = ContinuousClock.now
            if now - state.second >= .seconds(1) { (state.second, state.inSecond) = (now, 0) }
            guard matches else { return }
            guard state.inSecond < perSecond,
                let alert = try? Feeder_Alert(serializedBytes: Array(record.payload)),
                let json = try? WebJSON.encoder.encode(WebAlert(alert))
            else {
                state.gap += 1
                return
            }
            state.inSecond += 1
            Self.flushGap(&state)
            state.text += "id: \(state.place)\ndata: \(String(decoding: json, as: UTF8.self))\n\n"
        }
    }

    private static func flushGap(_ state: inout State) {
        guard state.gap > 0 else { return }
        state.text += "event: gap\nid: \(state.place)\ndata: {\"missed\":\(state.gap)}\n\n"
        state.gap = 0
    }

    /// Says that the stream is alive.
    func beat() { wake { $0.text += "event: beat\ndata: {}\n\n" } }

    /// No more will come.
    func end() { wake { $0.isEnded = true } }

    /// Wakes the one who sends, and waits until what there is has been taken.
    func flush() async {
        wake { _ in }
        await withCheckedContinuation { continuation in
            let isDone = state.withLock { state in
                if state.isEnded || (state.text.isEmpty && state.gap == 0) { return true }
                state.drained = continuation
                return false
            }
            if isDone { continuation.resume() }
        }
    }

    private func wake(_ body: (inout sending State) -> Void) {
        let waiters = state.withLock { state in
            body(&state)
            defer {
                state.waiter = nil
                if state.isEnded { state.drained = nil }
            }
            return [state.waiter, state.isEnded ? state.drained : nil]
        }
        for waiter in waiters { waiter?.resume() }
    }

    /// What is to be sent; waits until there is something, `nil` at the end. One task.
    func next() async -> String? {
        while true {
            let (text, drained, isEnded) = state.withLock { state in
                Self.flushGap(&state)
                defer { (state.text, state.drained) = ("", state.text.isEmpty ? state.drained : nil) }
                return (state.text, state.text.isEmpty ? nil : state.drained, state.isEnded)
            }
            drained?.resume()
            if isEnded { return nil }
            if !text.isEmpty { return text }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let isLate = state.withLock { state in
                        if state.isEnded || !state.text.isEmpty || state.gap > 0 { return true }
                        state.waiter = continuation
                        return false
                    }
                    if isLate { continuation.resume() }
                }
            } onCancel: {
                end()
            }
        }
    }
}

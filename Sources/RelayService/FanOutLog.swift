import EventSpool
import NIOCore
import NIOPosix
import RPCServices
import Synchronization

/// The newest records of all agents, in memory, numbered anew: each client reads them from a place of its own.
///
/// There is no queue for a client: one that is too slow finds that what it should read next is gone, and the numbers tell how much.
/// So memory does not depend on clients, and no client on another.
package final class FanOutLog: RecordSource {
    private struct State {
        var blocks: [FanOutBlock] = []
        var bytes = 0
        var next = SpoolNumbers()
        var number: UInt64 = 0
        var appended: UInt64 = 0
    }

    /// Names the numbers; another one after each start.
    package let spool = UInt64.random(in: 1...UInt64.max)
    let wake = WakeBroadcast()
    private let state = Mutex(State())
    private let limit: Int
    private let loop: any EventLoop
    private let isDirty = Atomic<Bool>(false)
    /// Clients are woken this often at most: what comes meanwhile goes out together.
    private static let wakeInterval = TimeAmount.milliseconds(2)

    /// - Parameter limit: bytes of memory for records.
    package init(limit: Int, group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton) {
        self.limit = max(limit, 2 * FanOutBlock.capacity)
        loop = group.any()
    }

    /// A record that an agent sent, and what is appended to it.
    struct Arrival {
        var kind: SpoolKind
        var payload: UnsafeRawBufferPointer
        var rest: [UInt8]
        /// Records of its kind that the agent no longer had, and that nobody will get: they have numbers here, too, so that everybody who
        /// reads is told how many there were.
        var lost: UInt64 = 0
    }

    /// Adds records; their memory is only read during the call.
    func append(_ arrivals: some Sequence<Arrival>, time: UInt64) {
        state.withLock { state in
            for arrival in arrivals { append(arrival, time, &state) }
        }
        if !isDirty.exchange(true, ordering: .acquiringAndReleasing) {
            loop.scheduleTask(in: Self.wakeInterval) { [self] in
                isDirty.store(false, ordering: .releasing)
                wake.signal()
            }
        }
    }

    private func append(_ arrival: Arrival, _ time: UInt64, _ state: inout State) {
        let sequence = state.next[arrival.kind] + arrival.lost
        state.next[arrival.kind] = sequence + 1
        state.appended += 1
        if let last = state.blocks.last, last.append(arrival.kind, sequence, time: time, arrival.payload, arrival.rest)
        {
            return
        }
        let needed = FanOutBlock.headerBytes + arrival.payload.count + arrival.rest.count + 8
        var first = state.next
        first[arrival.kind] = sequence
        let block = FanOutBlock(
            number: state.number, first: first, capacity: max(FanOutBlock.capacity, needed))
        state.number += 1
        _ = block.append(arrival.kind, sequence, time: time, arrival.payload, arrival.rest)
        state.blocks.append(block)
        state.bytes += block.size
        while state.bytes > limit, state.blocks.count > 1 { state.bytes -= state.blocks.removeFirst().size }
    }

    /// Records that were ever added.
    package var appended: UInt64 { state.withLock { $0.appended } }

    /// Number of the newest record of a kind, 0 without one.
    func newestSequence(_ kind: SpoolKind) -> UInt64 { state.withLock { $0.next[kind] - 1 } }

    /// Bytes of memory that hold records.
    package var bytes: Int { state.withLock { $0.bytes } }

    package func open(_ request: RecordRequest) throws -> any RecordCursor {
        let cursor = state.withLock { state -> FanOutCursor.Place in
            var next = SpoolNumbers()
            for (kind, start) in request.starts {
                switch start {
                case .now: next[kind] = state.next[kind]
                case .after(let last):
                    let isSame = request.spool == nil || request.spool == spool
                    next[kind] = isSame ? min(last, state.next[kind] - 1) + 1 : 1
                }
            }
            let block = state.blocks.last { block in request.starts.keys.allSatisfy { block.first[$0] <= next[$0] } }
            return FanOutCursor.Place(block: block ?? state.blocks.first, offset: 0, next: next)
        }
        // Who asks for no place wants what happens now.
        let freshness = request.freshness ?? (request.isLive ? FanOutCursor.livePatience : nil)
        return FanOutCursor(
            self, wanted: Set(request.starts.keys), place: cursor,
            gate: freshness.map { FreshnessGate(limit: $0, isLive: request.isLive, now: SpoolWriter.realTime()) })
    }

    /// The block behind a number; `nil` when that is the newest.
    func block(behind number: UInt64?) -> FanOutBlock? {
        state.withLock { state in
            guard let first = state.blocks.first else { return nil }
            guard let number, number >= first.number else { return first }
            let index = Int(number - first.number) + 1
            return index < state.blocks.count ? state.blocks[index] : nil
        }
    }

    /// The newest block.
    var newest: FanOutBlock? { state.withLock { $0.blocks.last } }
}

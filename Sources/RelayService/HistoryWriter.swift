import EventSpool
import Logging
import RPCServices
import ServiceLifecycle
import Synchronization

/// Puts what agents tell into the history: one more reader of the newest records, which may be too slow like any other.
final class HistoryWriter: Service {
    private struct Counters {
        var written: UInt64 = 0
        var missed: UInt64 = 0
        var failures: UInt64 = 0
    }
    private let history: History
    private let log: FanOutLog
    private let book: AgentBook
    private let kinds: Set<SpoolKind>
    private let logger: Logger
    private let counters = Mutex(Counters())
    private static let trimInterval = Duration.seconds(10)

    init(_ history: History, log: FanOutLog, book: AgentBook, kinds: Set<SpoolKind>, logger: Logger) {
        self.history = history
        self.log = log
        self.book = book
        self.kinds = kinds
        self.logger = logger
    }

    /// Records in the database, records it was too slow for, and transactions that failed.
    var counts: (written: UInt64, missed: UInt64, failures: UInt64) {
        counters.withLock { ($0.written, $0.missed, $0.failures) }
    }

    /// Runs until shut down, and writes what is there by then.
    func run() async throws {
        let cursor = try log.open(
            RecordRequest(starts: Dictionary(uniqueKeysWithValues: kinds.map { ($0, .after(0)) })))
        await withGracefulShutdownHandler {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await self.write(cursor) }
                group.addTask { await self.trim() }
                await group.next()
                group.cancelAll()
            }
        } onGracefulShutdown: {
            cursor.cancel()
        }
    }

    private func write(_ cursor: any RecordCursor) async {
        var written: [String: AgentBook.Position] = [:]
        while true {
            var rows: [HistoryRow] = []
            var missed: UInt64 = 0
            do {
                try await cursor.next { record in
                    rows.append(HistoryRow(record))
                    missed += record.missed
                }
            } catch { return }
            save(rows, missed, &written)
        }
    }

    /// After a crash an agent goes on behind what is in the database: twice is better than never.
    private func save(_ rows: [HistoryRow], _ missed: UInt64, _ written: inout [String: AgentBook.Position]) {
        var touched: [String: AgentBook.Position] = [:]
        let own = SpoolName.text(log.spool)
        for row in rows {
            // Who pushes begins anew with every start of the relay: there is no place to go on from.
            guard let current = book.position(row.agent), current.spool != own else { continue }
            var position = touched[row.agent] ?? written[row.agent] ?? current
            if position.spool != current.spool {
                position = AgentBook.Position(spool: current.spool, next: SpoolNumbers())
            }
            position.next[row.kind] = row.agentSequence + 1
            for kind in SpoolKind.allCases where !kinds.contains(kind) { position.next[kind] = current.next[kind] }
            touched[row.agent] = position
        }
        do {
            try history.add(rows, positions: touched)
            written.merge(touched) { $1 }
            counters.withLock {
                $0.written += UInt64(rows.count)
                $0.missed += missed
            }
        } catch {
            counters.withLock {
                $0.failures += 1
                $0.missed += missed + UInt64(rows.count)
            }
            logger.error("the history is not written", metadata: ["reason": "\(error)"])
        }
    }

    private func trim() async {
        while !Task.isCancelled {
            do {
                if try history.trim() { continue }
            } catch { logger.error("the history is not trimmed", metadata: ["reason": "\(error)"]) }
            try? await Task.sleep(for: Self.trimInterval)
        }
    }
}

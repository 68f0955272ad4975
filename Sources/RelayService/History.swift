import EventSpool
import Foundation
import GRDB
import RPCServices
import Synchronization

/// The alerts of the past, in SQLite: what can be asked by time, policy and workload.
package final class History: Sendable {
    /// How much is kept.
    package struct Limits: Sendable, Hashable {
        /// Records; the oldest go first.
        package var records: Int
        /// Days.
        package var days: Int

        /// Keeps so much.
        package init(records: Int = 2_000_000, days: Int = 30) {
            self.records = records
            self.days = days
        }
    }

    /// What is looked for; an empty text says nothing.
    package struct Query: Sendable, Hashable {
        /// Unix nanoseconds, the end not included; 0 for no bound.
        package var (from, to): (UInt64, UInt64) = (0, 0)
        /// By column.
        package var texts: [Column: String] = [:]
        /// Ids below this; 0 for all.
        package var before: UInt64 = 0
        /// At most this many.
        package var limit = 1000

        /// Looks for everything.
        package init() {}
    }

    /// What a record can be looked for by.
    package enum Column: String, Sendable, Hashable, CaseIterable {
        case agent, policy, namespace, workload, operation, action
    }

    /// A record of the past.
    package struct Record: Sendable {
        /// Goes up with every record.
        package var id: UInt64
        /// Its kind.
        package var kind: SpoolKind
        /// Unix nanoseconds at which it came.
        package var time: UInt64
        /// As it was sent.
        package var payload: [UInt8]
    }

    /// How many there were in a span.
    package struct Bucket: Sendable, Hashable {
        /// Unix seconds.
        package var begin: Int64
        /// All of them, and those of denied operations.
        package var (count, blocked): (Int, Int)
    }

    private let pool: DatabasePool
    private let limits: Limits
    private let lastFailed = Atomic<Bool>(false)
    package static let longestAnswer = 10_000

    /// Opens or makes a database.
    package init(path: String, limits: Limits) throws {
        var configuration = Configuration()
        configuration.prepareDatabase { database in
            // A crash of the machine may cost the last moments, never the database.
            try database.execute(sql: "PRAGMA synchronous = NORMAL")
        }
        pool = try DatabasePool(path: path, configuration: configuration)
        self.limits = limits
        try Self.migrator.migrate(pool)
    }

    private static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("records") { database in
            try database.execute(
                sql: """
                    CREATE TABLE record (
                        id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, time INTEGER NOT NULL, agent TEXT NOT NULL,
                        policy TEXT NOT NULL, namespace TEXT NOT NULL, pod TEXT NOT NULL, container TEXT NOT NULL,
                        operation TEXT NOT NULL, action TEXT NOT NULL, payload BLOB NOT NULL);
                    CREATE INDEX record_time ON record (time);
                    CREATE INDEX record_policy ON record (policy, time);
                    CREATE INDEX record_workload ON record (container, time);
                    CREATE INDEX record_pod ON record (pod, time);
                    CREATE TABLE position (
                        agent TEXT PRIMARY KEY, spool TEXT NOT NULL, alert INTEGER NOT NULL, log INTEGER NOT NULL,
                        message INTEGER NOT NULL) WITHOUT ROWID;
                    """)
        }
        return migrator
    }

    /// The last transaction went through.
    var isSound: Bool { lastFailed.load(ordering: .relaxed) == false }

    /// Where each agent was left.
    package func positions() throws -> [String: AgentBook.Position] {
        try pool.read { database in
            var positions: [String: AgentBook.Position] = [:]
            let rows = try Row.fetchCursor(database, sql: "SELECT agent, spool, alert, log, message FROM position")
            while let row = try rows.next() {
                var next = SpoolNumbers()
                next[.alert] = Self.number(row["alert"])
                next[.log] = Self.number(row["log"])
                next[.message] = Self.number(row["message"])
                positions[row["agent"]] = AgentBook.Position(spool: row["spool"], next: next)
            }
            return positions
        }
    }

    /// Keeps records and positions, all or none.
    func add(_ records: [HistoryRow], positions: [String: AgentBook.Position]) throws {
        lastFailed.store(true, ordering: .relaxed)
        try pool.write { database in
            let insert = try database.cachedStatement(
                sql: """
                    INSERT INTO record (kind, time, agent, policy, namespace, pod, container, operation, action, payload)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """)
            for record in records { try insert.execute(arguments: record.arguments) }
            let place = try database.cachedStatement(
                sql: "INSERT OR REPLACE INTO position (agent, spool, alert, log, message) VALUES (?, ?, ?, ?, ?)")
            for (name, position) in positions {
                try place.execute(
                    arguments: [
                        name, position.spool, Int64(bitPattern: position.next[.alert]),
                        Int64(bitPattern: position.next[.log]), Int64(bitPattern: position.next[.message]),
                    ])
            }
        }
        lastFailed.store(false, ordering: .relaxed)
    }

    /// Removes what is over the limits, a part at a time; true when there may be more.
    func trim(now: Date = Date()) throws -> Bool {
        try pool.write { database in
            let step = 20_000
            let newest = try Int64.fetchOne(database, sql: "SELECT max(id) FROM record") ?? 0
            let oldest = try Int64.fetchOne(database, sql: "SELECT min(id) FROM record") ?? 0
            let first = newest - Int64(limits.records)
            let time = Int64((now.timeIntervalSince1970 - Double(limits.days) * 86_400) * 1e9)
            try database.execute(
                sql: "DELETE FROM record WHERE id < ? AND (id <= ? OR time < ?)",
                arguments: [oldest + Int64(step), first, time])
            return database.changesCount >= step
        }
    }

    /// Records of the past, newest first.
    package func records(_ query: Query) throws -> [Record] {
        let (condition, arguments) = Self.condition(query)
        return try pool.read { database in
            let rows = try Row.fetchCursor(
                database, sql: "SELECT id, kind, time, payload FROM record \(condition) ORDER BY id DESC LIMIT ?",
                arguments: StatementArguments(arguments + [min(max(1, query.limit), Self.longestAnswer)]))
            var records: [Record] = []
            while let row = try rows.next() {
                let payload: Data = row["payload"]
                records.append(
                    Record(
                        id: Self.number(row["id"]), kind: SpoolKind(rawValue: row["kind"]) ?? .alert,
                        time: Self.number(row["time"]), payload: Array(payload)))
            }
            return records
        }
    }

    /// How many there were, by spans of so many seconds; spans without any are left out.
    package func counts(_ query: Query, seconds: Int) throws -> [Bucket] {
        let (condition, arguments) = Self.condition(query)
        let span = Int64(max(1, seconds)) * 1_000_000_000
        return try pool.read { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT time / ? AS bucket, count(*) AS number, sum(action = 'Block') AS blocked FROM record \(condition)
                    GROUP BY bucket ORDER BY bucket LIMIT 10000
                    """, arguments: StatementArguments([span] + arguments)
            ).map { row in
                let bucket: Int64 = row["bucket"]
                return Bucket(
                    begin: bucket * Int64(max(1, seconds)), count: row["number"], blocked: row["blocked"] ?? 0)
            }
        }
    }

    private static func condition(_ query: Query) -> (String, [any DatabaseValueConvertible]) {
        var (parts, arguments): ([String], [any DatabaseValueConvertible]) = ([], [])
        func add(_ part: String, _ values: [any DatabaseValueConvertible]) {
            parts.append(part)
            arguments += values
        }
        if query.from > 0 { add("time >= ?", [Int64(clamping: query.from)]) }
        if query.to > 0 { add("time < ?", [Int64(clamping: query.to)]) }
        if query.before > 0 { add("id < ?", [Int64(clamping: query.before)]) }
        for (column, text) in query.texts.sorted(by: { $0.key.rawValue < $1.key.rawValue }) where !text.isEmpty {
            // The column's name is ours; the text is a value.
            if column == .workload {
                add("(container = ? OR pod = ?)", [text, text])
            } else {
                add("\(column.rawValue) = ?", [text])
            }
        }
        return (parts.isEmpty ? "" : "WHERE " + parts.joined(separator: " AND "), arguments)
    }

    private static func number(_ value: Int64) -> UInt64 { UInt64(bitPattern: value) }
}

/// A record on its way into the database, with what it can be found by.
struct HistoryRow: Sendable {
    var kind: SpoolKind
    var time: UInt64
    var agent = ""
    var policy = ""
    var namespace = ""
    var pod = ""
    var container = ""
    var operation = ""
    var action = ""
    var agentSequence: UInt64 = 0
    var payload: Data

    init(_ record: RecordView) {
        kind = record.kind
        time = record.time
        payload = Data(record.payload)
        let isLog = record.kind == .log
        ProtobufScan.fields(record.payload) { number, value in
            switch (number, value) {
            case (1013, .number(let value)): agentSequence = value
            case (_, .bytes(let bytes)):
                switch number {
                case 5: namespace = Self.text(bytes)
                case 6: pod = Self.text(bytes)
                case 8: container = Self.text(bytes)
                case 13 where !isLog: policy = Self.text(bytes)
                case 15 where isLog: operation = Self.text(bytes)
                case 19 where !isLog: operation = Self.text(bytes)
                case 22 where !isLog: action = Self.text(bytes)
                case 1012: agent = Self.text(bytes)
                default: break
                }
            default: break
            }
        }
    }

    private static func text(_ bytes: UnsafeRawBufferPointer) -> String { String(decoding: bytes, as: UTF8.self) }

    fileprivate var arguments: StatementArguments {
        [
            Int64(kind.rawValue), Int64(bitPattern: time), agent, policy, namespace, pod, container, operation, action,
            payload,
        ]
    }
}

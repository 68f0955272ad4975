import EventSpool
import Foundation
import GRDB

// Keeps the same records in segment files and in SQLite (write-ahead log, synchronous off), in groups of 1 and of 64, and reads
// them all back. Prints microseconds a record and the ratio, of the best of five rounds.
let records = 50_000
let payload = [UInt8](repeating: 0x41, count: 600)

func folder() throws -> String {
    let path = "/var/tmp/portcullis-spool-benchmark-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
}

func best(_ body: () throws -> Double) throws -> Double { try (0..<5).map { _ in try body() }.min() ?? 0 }

func microseconds(_ body: () throws -> Void) rethrows -> Double {
    let clock = ContinuousClock()
    let time = try clock.measure(body)
    return Double(time.components.attoseconds) / 1e12 / Double(records)
        + Double(time.components.seconds) * 1e6 / Double(records)
}

func segments(group: Int) throws -> (write: Double, read: Double) {
    var read = Double.infinity
    let write = try best {
        let path = try folder()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let time = try microseconds {
            var writer = try SpoolWriter(directory: path)
            for number in 1...records {
                writer.append(.alert, payload)
                if number % group == 0 { writer.flush() }
            }
            writer.flush()
        }
        read = min(
            read,
            try microseconds {
                var reader = try SpoolReader(directory: path, from: [.alert: .after(0)])
                var (count, isDone) = (0, false)
                while !isDone { isDone = reader.read { count += $0.payload.count > 0 ? 1 : 0 } == .atEnd }
                precondition(count == records)
            })
        return time
    }
    return (write, read)
}

func database(group: Int) throws -> (write: Double, read: Double) {
    var read = Double.infinity
    let write = try best {
        let path = try folder()
        defer { try? FileManager.default.removeItem(atPath: path) }
        var configuration = Configuration()
        configuration.prepareDatabase { try $0.execute(sql: "PRAGMA synchronous = OFF") }
        let pool = try DatabasePool(path: path + "/records.sqlite", configuration: configuration)
        try pool.write { database in
            try database.execute(
                sql: "CREATE TABLE record (sequence INTEGER PRIMARY KEY, kind INTEGER, time INTEGER, payload BLOB)")
        }
        let data = Data(payload)
        let time = try microseconds {
            var number = 0
            while number < records {
                try pool.write { database in
                    let statement = try database.cachedStatement(
                        sql: "INSERT INTO record (kind, time, payload) VALUES (?, ?, ?)")
                    for _ in 0..<min(group, records - number) {
                        try statement.execute(arguments: [1, number, data])
                        number += 1
                    }
                }
            }
        }
        read = min(
            read,
            try microseconds {
                let count = try pool.read { database in
                    let rows = try Row.fetchCursor(
                        database, sql: "SELECT sequence, payload FROM record WHERE kind = 1 AND sequence > 0 ORDER BY sequence")
                    var count = 0
                    while let row = try rows.next() { count += (row["payload"] as Data).isEmpty ? 0 : 1 }
                    return count
                }
                precondition(count == records)
            })
        return time
    }
    return (write, read)
}

print("| records of 600 bytes | segment files | SQLite | ratio |")
print("| --- | ---: | ---: | ---: |")
func row(_ name: String, _ a: Double, _ b: Double) {
    let format = { (value: Double) in String(format: "%.2f", value) }
    print("| \(name) | \(format(a)) µs | \(format(b)) µs | \(format(b / a)) |")
}
for group in [1, 64] {
    let (files, sqlite) = (try segments(group: group), try database(group: group))
    row("write, \(group) at once", files.write, sqlite.write)
    if group == 64 { row("read", files.read, sqlite.read) }
}

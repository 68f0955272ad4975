import Foundation
import Testing

@testable import EventSpool

/// A spool's directory, removed at the end.
final class Folder {
    let path: String

    init() throws {
        path = "/tmp/portcullis-spool-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var segments: [String] { (try? FileManager.default.contentsOfDirectory(atPath: path).sorted()) ?? [] }

    var bytes: UInt64 {
        segments.reduce(0) { sum, name in
            let size = try? FileManager.default.attributesOfItem(atPath: path + "/" + name)[.size] as? UInt64
            return sum + (size ?? 0)
        }
    }

    func file(_ name: String) -> String { path + "/" + name }
}

/// What a reader got.
struct Got: Equatable {
    var kind: SpoolKind
    var sequence: UInt64
    var missed: UInt64
    var text: String
}

/// Reads until there is nothing more.
func readAll(_ reader: inout SpoolReader, rounds: Int = 100_000) -> [Got] {
    var got: [Got] = []
    for _ in 0..<rounds {
        let progress = reader.read {
            got.append(
                Got(
                    kind: $0.kind, sequence: $0.sequence, missed: $0.missed,
                    text: String(decoding: $0.payload, as: UTF8.self)))
        }
        if progress == .atEnd { break }
    }
    return got
}

func expectFlush(_ writer: inout SpoolWriter, _ expected: Bool, sourceLocation: SourceLocation = #_sourceLocation) {
    let flushed = writer.flush()
    #expect(flushed == expected, sourceLocation: sourceLocation)
}

func counters(_ writer: borrowing SpoolWriter) -> SpoolCounters { writer.counters }

func text(_ text: String) -> [UInt8] { Array(text.utf8) }

@Suite struct SpoolTests {
    @Test func checksumIsCastagnoli() {
        // RFC 3720, appendix B.4.
        let numbers = (0..<32).map { UInt8($0) }
        #expect([UInt8](repeating: 0, count: 32).withUnsafeBytes(Checksum.of) == 0x8a91_36aa)
        #expect([UInt8](repeating: 0xff, count: 32).withUnsafeBytes(Checksum.of) == 0x62a8_ab43)
        #expect(numbers.withUnsafeBytes(Checksum.of) == 0x46dd_794e)
        #expect(text("123456789").withUnsafeBytes(Checksum.of) == 0xe306_9283)
    }

    @Test func whatIsWrittenIsRead() throws {
        let folder = try Folder()
        var reader = try SpoolReader(directory: folder.path, from: [.alert: .now, .log: .now])
        #expect(readAll(&reader).isEmpty)
        var writer = try SpoolWriter(directory: folder.path)
        #expect(folder.segments.isEmpty, "nothing is made before the first record")
        writer.append(.alert, text("a1"))
        writer.append(.message, text("m1"))
        writer.append(.log, text("l1"))
        writer.append(.alert, text("a2"))
        #expect(readAll(&reader).isEmpty, "what was not flushed is not there yet")
        expectFlush(&writer, true)
        #expect(
            readAll(&reader) == [
                Got(kind: .alert, sequence: 1, missed: 0, text: "a1"),
                Got(kind: .log, sequence: 1, missed: 0, text: "l1"),
                Got(kind: .alert, sequence: 2, missed: 0, text: "a2"),
            ])
        #expect(readAll(&reader).isEmpty)
        writer.append(.alert, text("a3"))
        writer.flush()
        #expect(readAll(&reader).map(\.sequence) == [3])
        let (read, written) = (reader.spool, writer.spool)
        #expect(read == written)
        let counters = writer.counters
        #expect(counters.written == 5 && counters.lost == 0)
    }

    @Test(arguments: [SpoolStart.now, .after(0), .after(3), .after(1000), .after(.max)])
    func aReaderBeginsWhereItAsks(start: SpoolStart) throws {
        let folder = try Folder()
        var writer = try SpoolWriter(
            directory: folder.path, limits: SpoolLimits(totalBytes: 1 << 20, segmentBytes: 4096))
        for number in 1...5 {
            writer.append(.alert, text("a\(number)") + [UInt8](repeating: 0, count: 2000))
            writer.append(.log, text("l\(number)"))
            writer.flush()
        }
        #expect(folder.segments.count > 1)
        var reader = try SpoolReader(directory: folder.path, from: [.alert: start, .log: .now])
        let before = readAll(&reader)
        switch start {
        case .after(0): #expect(before.map(\.sequence) == [1, 2, 3, 4, 5])
        case .after(3): #expect(before.map(\.sequence) == [4, 5])
        default: #expect(before.isEmpty)
        }
        #expect(before.allSatisfy { $0.kind == .alert && $0.missed == 0 })
        writer.append(.log, text("l6"))
        writer.append(.alert, text("a6"))
        writer.flush()
        #expect(readAll(&reader).map { "\($0.kind)\($0.sequence) \($0.missed)" } == ["log6 0", "alert6 0"])
    }

    @Test func aSpoolGoesOnAfterARestart() throws {
        let folder = try Folder()
        var spool: UInt64 = 0
        for round in 0..<3 {
            var writer = try SpoolWriter(directory: folder.path)
            let same = writer.spool == spool
            if round > 0 { #expect(same) }
            spool = writer.spool
            writer.append(.alert, text("a"))
            writer.append(.alert, text("a"))
            writer.append(.message, text("m"))
            writer.flush()
        }
        var reader = try SpoolReader(directory: folder.path, from: [.alert: .after(0), .message: .after(0)])
        let got = readAll(&reader)
        #expect(got.filter { $0.kind == .alert }.map(\.sequence) == [1, 2, 3, 4, 5, 6])
        #expect(got.filter { $0.kind == .message }.map(\.sequence) == [1, 2, 3])
        #expect(got.allSatisfy { $0.missed == 0 })
    }

    @Test func aReaderKeepsItsPlaceWhenAnotherWriterComes() throws {
        let folder = try Folder()
        var first = try SpoolWriter(directory: folder.path)
        first.append(.alert, text("a"))
        first.flush()
        var reader = try SpoolReader(directory: folder.path, from: [.alert: .after(0)])
        #expect(readAll(&reader).map(\.sequence) == [1])
        var second = try SpoolWriter(directory: folder.path)
        second.append(.alert, text("b"))
        second.flush()
        #expect(readAll(&reader) == [Got(kind: .alert, sequence: 2, missed: 0, text: "b")])
    }

    @Test func numbersOfAnotherSpoolMeanNothing() throws {
        let folder = try Folder()
        var writer = try SpoolWriter(directory: folder.path)
        for _ in 1...3 { writer.append(.alert, text("a")) }
        writer.flush()
        var same = try SpoolReader(directory: folder.path, from: [.alert: .after(2)], expecting: writer.spool)
        #expect(readAll(&same).map(\.sequence) == [3])
        var other = try SpoolReader(directory: folder.path, from: [.alert: .after(2)], expecting: writer.spool &+ 1)
        #expect(readAll(&other).map(\.sequence) == [1, 2, 3])
    }

    @Test func anEmptiedDirectoryIsANewSpool() throws {
        let folder = try Folder()
        var writer = try SpoolWriter(directory: folder.path)
        for _ in 1...3 { writer.append(.alert, text("a")) }
        writer.flush()
        var reader = try SpoolReader(directory: folder.path, from: [.alert: .now])
        #expect(readAll(&reader).isEmpty)
        for name in folder.segments { try FileManager.default.removeItem(atPath: folder.file(name)) }
        var fresh = try SpoolWriter(directory: folder.path)
        fresh.append(.alert, text("b"))
        fresh.flush()
        #expect(readAll(&reader) == [Got(kind: .alert, sequence: 1, missed: 0, text: "b")])
        let (read, now, before) = (reader.spool, fresh.spool, writer.spool)
        #expect(read == now && now != before)
    }

    @Test func largestRecordsPass() throws {
        let folder = try Folder()
        var writer = try SpoolWriter(directory: folder.path)
        let large = [UInt8](repeating: 7, count: SpoolFormat.payloadLimit)
        writer.append(.alert, large)
        writer.append(.alert, large + [0])
        writer.append(.alert, text("small"))
        writer.flush()
        var reader = try SpoolReader(directory: folder.path, from: [.alert: .after(0)])
        let got = readAll(&reader)
        #expect(got.map(\.sequence) == [1, 3])
        #expect(got.map(\.missed) == [0, 1], "what is too long is lost and told")
        #expect(got[0].text.utf8.count == large.count)
        let counters = writer.counters
        #expect(counters.lost == 1 && counters.lastError == EMSGSIZE)
    }
}

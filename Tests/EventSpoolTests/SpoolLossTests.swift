import Foundation
import Testing

@testable import EventSpool

/// Everything that can be lost, and that exactly so much is told.
@Suite struct SpoolLossTests {
    private static let small = SpoolLimits(totalBytes: 64 << 10, segmentBytes: 8 << 10)

    @Test func theOldestSegmentGoesAndASlowReaderIsTold() throws {
        let folder = try Folder()
        var writer = try SpoolWriter(directory: folder.path, limits: Self.small)
        var reader = try SpoolReader(directory: folder.path, from: [.alert: .after(0)])
        var logs = try SpoolReader(directory: folder.path, from: [.log: .now])
        for number in 1...1000 {
            writer.append(.alert, text("alert \(number)") + [UInt8](repeating: 32, count: 200))
            if number % 10 == 0 { writer.append(.log, text("log \(number)")) }
            if number % 7 == 0 { writer.flush() }
            #expect(folder.bytes <= 64 << 10)
        }
        writer.flush()
        let got = readAll(&reader)
        #expect(got.last?.sequence == 1000)
        #expect(got.reduce(0) { $0 + Int($1.missed) } + got.count == 1000)
        #expect(got[0].missed > 0 && got.dropFirst().allSatisfy { $0.missed == 0 })
        #expect(got.allSatisfy { $0.text.hasPrefix("alert \($0.sequence) ") })
        let seen = readAll(&logs)
        #expect(seen.reduce(0) { $0 + Int($1.missed) } + seen.count == 100)
        let counters = writer.counters
        #expect(counters.removedSegments > 0)
    }

    @Test func aReaderInARemovedSegmentReadsItToItsEnd() throws {
        let folder = try Folder()
        var writer = try SpoolWriter(directory: folder.path, limits: Self.small)
        writer.append(.alert, text("first"))
        writer.flush()
        var reader = try SpoolReader(directory: folder.path, from: [.alert: .after(0)])
        for _ in 2...1000 {
            writer.append(.alert, [UInt8](repeating: 32, count: 200))
            writer.flush()
        }
        let got = readAll(&reader)
        #expect(got.first == Got(kind: .alert, sequence: 1, missed: 0, text: "first"))
        #expect(got.reduce(0) { $0 + Int($1.missed) } + got.count == 1000)
        #expect(got.filter { $0.missed > 0 }.count == 1)
    }

    /// A writer that dies in the middle of a record, at every place in it.
    @Test func aTornRecordEndsItsSegment() throws {
        let folder = try Folder()
        var writer = try SpoolWriter(directory: folder.path)
        writer.append(.alert, text("whole"))
        writer.flush()
        let name = folder.file(folder.segments[0])
        let whole = try Data(contentsOf: URL(fileURLWithPath: name))
        writer.append(.alert, text("torn"))
        writer.flush()
        let both = try Data(contentsOf: URL(fileURLWithPath: name))
        for length in whole.count..<both.count {
            let copy = try Folder()
            try both.prefix(length).write(to: URL(fileURLWithPath: copy.file(folder.segments[0])))
            var reader = try SpoolReader(directory: copy.path, from: [.alert: .after(0)])
            #expect(readAll(&reader).map(\.text) == ["whole"])
            var next = try SpoolWriter(directory: copy.path)
            next.append(.alert, text("next"))
            next.flush()
            #expect(copy.segments.count == 2)
            #expect(readAll(&reader) == [Got(kind: .alert, sequence: 2, missed: 0, text: "next")])
        }
    }

    /// Any byte of a segment that is not what was written costs what is behind it in the segment, and no more.
    @Test func aChangedByteIsFound() throws {
        let folder = try Folder()
        var writer = try SpoolWriter(
            directory: folder.path, limits: SpoolLimits(totalBytes: 1 << 20, segmentBytes: 4096))
        for _ in 1...60 {
            writer.append(.alert, [UInt8](repeating: 65, count: 200))
            writer.flush()
        }
        #expect(folder.segments.count >= 3)
        let name = folder.file(folder.segments[1])
        let sound = try Data(contentsOf: URL(fileURLWithPath: name))
        for place in stride(from: 0, to: sound.count, by: 13) {
            var changed = sound
            changed[place] ^= 0x41
            try changed.write(to: URL(fileURLWithPath: name))
            var reader = try SpoolReader(directory: folder.path, from: [.alert: .after(0)])
            let got = readAll(&reader)
            #expect(got.last?.sequence == 60)
            #expect(got.reduce(0) { $0 + Int($1.missed) } + got.count == 60)
            #expect(got.contains { $0.missed > 0 })
            #expect(got.allSatisfy { $0.text == String(repeating: "A", count: 200) })
        }
    }

    @Test func whatIsNoSegmentIsLeftAlone() throws {
        let folder = try Folder()
        try Data("mine".utf8).write(to: URL(fileURLWithPath: folder.file("notes")))
        try FileManager.default.createDirectory(
            atPath: folder.file("0000000000000001.segx"), withIntermediateDirectories: true)
        try Data("no head".utf8).write(to: URL(fileURLWithPath: folder.file("00000000000000ff.seg")))
        var writer = try SpoolWriter(directory: folder.path)
        writer.append(.alert, text("a"))
        writer.flush()
        #expect(folder.segments == ["0000000000000001.seg", "0000000000000001.segx", "notes"])
    }

    @Test func aDirectoryThatCannotBeWrittenCostsRecordsAndSaysSo() throws {
        let folder = try Folder()
        var writer = try SpoolWriter(directory: folder.path)
        var reader = try SpoolReader(directory: folder.path, from: [.alert: .now])
        try FileManager.default.removeItem(atPath: folder.path)
        writer.append(.alert, text("a"))
        writer.append(.alert, text("b"))
        expectFlush(&writer, false)
        let counters = writer.counters
        #expect(counters.lost == 2 && counters.lastError == ENOENT)
        #expect(readAll(&reader).isEmpty)
    }

    /// On a filesystem with no room the oldest records give way; without any of its own, records are lost and counted, and
    /// when there is room again the next one says how many.
    @Test func aFullFilesystemNeverStopsTheWriter() throws {
        try #require(geteuid() == 0, "needs a filesystem of its own")
        let folder = try Folder()
        #expect(mount("none", folder.path, "tmpfs", 0, "size=96k") == 0)
        defer { umount2(folder.path, Int32(MNT_DETACH)) }
        var writer = try SpoolWriter(
            directory: folder.path, limits: SpoolLimits(totalBytes: 1 << 20, segmentBytes: 16 << 10))
        var reader = try SpoolReader(directory: folder.path, from: [.alert: .after(0)])
        for number in 1...500 {
            writer.append(.alert, text("\(number) ") + [UInt8](repeating: 32, count: 1000))
            expectFlush(&writer, true)
        }
        let counters = writer.counters
        #expect(counters.lost == 0 && counters.removedSegments > 0)
        let got = readAll(&reader)
        #expect(got.last?.sequence == 500)
        #expect(got.reduce(0) { $0 + Int($1.missed) } + got.count == 500)

        // Somebody else takes all the room there is, and the writer's segments with it.
        for name in folder.segments { try FileManager.default.removeItem(atPath: folder.file(name)) }
        let ballast = open(folder.file("ballast"), O_WRONLY | O_CREAT, 0o600)
        while write(ballast, [UInt8](repeating: 0, count: 4096), 4096) > 0 {}
        close(ballast)
        for _ in 501...520 {
            writer.append(.alert, [UInt8](repeating: 32, count: 20 << 10))
            writer.flush()
        }
        let lost = writer.counters.lost
        #expect(lost > 0 && writer.counters.lastError == ENOSPC)
        try FileManager.default.removeItem(atPath: folder.file("ballast"))
        writer.append(.alert, text("room again"))
        expectFlush(&writer, true)
        let after = readAll(&reader)
        #expect(after.last?.text == "room again")
        #expect(after.reduce(0) { $0 + Int($1.missed) } + after.count == 21)
    }

    /// Readers and a writer at once, with small segments: everything is read or told as missed.
    @Test func readersBesideAWriterLoseNothingUntold() async throws {
        let folder = try Folder()
        let path = folder.path
        let total = 20_000
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                var writer = try SpoolWriter(
                    directory: path, limits: SpoolLimits(totalBytes: 256 << 10, segmentBytes: 16 << 10))
                for number in 1...total {
                    writer.append(number % 3 == 0 ? .log : .alert, Array("\(number)".utf8))
                    if number % 50 == 0 { writer.flush() }
                    if number % 5000 == 0 { try await Task.sleep(for: .milliseconds(5)) }
                }
                writer.append(.message, [])
                writer.flush()
            }
            for _ in 0..<3 {
                group.addTask {
                    var reader = try SpoolReader(
                        directory: path, from: [.alert: .after(0), .log: .after(0), .message: .after(0)])
                    var (count, missed, isDone) = (0, 0, false)
                    while !isDone {
                        let progress = reader.read {
                            count += 1
                            missed += Int($0.missed)
                            isDone = $0.kind == .message
                        }
                        if progress == .atEnd { try await Task.sleep(for: .milliseconds(1)) }
                    }
                    #expect(count - 1 + missed == total)
                }
            }
            try await group.waitForAll()
        }
    }
}

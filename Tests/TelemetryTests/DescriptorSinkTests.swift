import Foundation
import Synchronization
import Telemetry
import Testing

@Suite struct DescriptorSinkTests {
    private static func open(_ path: String) -> Int32 {
        Glibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
    }

    /// What the guardian does when the sink asks.
    private static func rotate(_ path: String) -> Int32 {
        for number in stride(from: 50, through: 1, by: -1) { rename("\(path).\(number)", "\(path).\(number + 1)") }
        rename(path, path + ".1")
        return open(path)
    }

    private static func bytes(_ path: String) -> Int { (try? Data(contentsOf: URL(fileURLWithPath: path)).count) ?? 0 }

    @Test func aFileIsChangedAtItsLimitAndNoLineIsLostOrCut() throws {
        let folder = try Folder()
        let path = folder.path + "/alerts"
        let sink = DescriptorSink(
            descriptor: Self.open(path), ownsDescriptor: true, maximumBytes: 100,
            onFull: { $0.adopt(Self.rotate(path)) })
        let all = (100..<200).map { "line number \($0)" }
        for line in all { sink.write(Array(line.utf8)) }
        var found = folder.lines("alerts")
        #expect(!folder.lines("alerts.10").isEmpty)
        for number in 1...50 {
            #expect(Self.bytes("\(path).\(number)") <= 100)
            found = folder.lines("alerts.\(number)") + found
        }
        #expect(found == all)
        #expect(sink.counters.written == 100 && sink.counters.lost == 0 && sink.unansweredRequests == 0)
    }

    @Test func whileTheNewFileIsOnItsWayLinesGoOn() throws {
        let folder = try Folder()
        let path = folder.path + "/alerts"
        let asked = Mutex(0)
        let sink = DescriptorSink(
            descriptor: Self.open(path), ownsDescriptor: true, maximumBytes: 80,
            onFull: { _ in asked.withLock { $0 += 1 } })
        let all = (10..<50).map { "line \($0)" }
        for line in all[..<9] { sink.write(Array(line.utf8)) }
        #expect(asked.withLock { $0 } == 0, "72 bytes are there, and 80 are allowed")
        sink.write(Array(all[9].utf8))
        #expect(asked.withLock { $0 } == 0)
        sink.write(Array(all[10].utf8))
        #expect(asked.withLock { $0 } == 1)
        for line in all[11..<20] { sink.write(Array(line.utf8)) }
        #expect(sink.unansweredRequests > 0)
        sink.adopt(Self.rotate(path))
        for line in all[20..<25] { sink.write(Array(line.utf8)) }
        #expect(folder.lines("alerts.1") == Array(all[..<20]))
        #expect(folder.lines("alerts") == Array(all[20..<25]))
        #expect(sink.counters.written == 25 && sink.counters.lost == 0)
    }

    @Test func rotationByAnotherThreadLosesAndCutsNothing() throws {
        let folder = try Folder()
        let path = folder.path + "/alerts"
        let wanted = DispatchSemaphore(value: 0)
        let isDone = Atomic<Bool>(false)
        let sink = DescriptorSink(
            descriptor: Self.open(path), ownsDescriptor: true, maximumBytes: 20_000, onFull: { _ in wanted.signal() })
        let files = Mutex(1)
        let ended = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            while true {
                wanted.wait()
                if isDone.load(ordering: .acquiring) { break }
                let next = files.withLock {
                    $0 += 1
                    return $0
                }
                rename(path, "\(path).\(next)")
                sink.adopt(Self.open(path))
            }
            ended.signal()
        }
        let all = (0..<20_000).map { "line number \($0)" }
        for line in all { sink.write(Array(line.utf8)) }
        isDone.store(true, ordering: .releasing)
        wanted.signal()
        ended.wait()
        let last = files.withLock { $0 }
        #expect(last > 1)
        var found: [String] = []
        if last > 1 { for number in 2...last { found += folder.lines("alerts.\(number)") } }
        found += folder.lines("alerts")
        #expect(found == all)
        #expect(sink.counters.written == 20_000 && sink.counters.lost == 0)
    }

    @Test func aFileThatCannotBeMovedGrowsAndIsAskedAboutNowAndThen() throws {
        let folder = try Folder()
        let path = folder.path + "/alerts"
        let asked = Mutex(0)
        let sink = DescriptorSink(
            descriptor: Self.open(path), ownsDescriptor: true, maximumBytes: 800,
            onFull: {
                asked.withLock { $0 += 1 }
                $0.adopt(Self.open(path))
            })
        for number in 100..<300 { sink.write(Array("l \(number) ..".utf8)) }
        #expect(folder.lines("alerts").count == 200)
        #expect(sink.counters.lost == 0)
        // 1800 bytes: at 800, and then about every hundred.
        #expect((2...11).contains(asked.withLock { $0 }))
    }

    @Test func aFileThatSomebodyMovedIsLeftAtTheNextLine() throws {
        let folder = try Folder()
        let path = folder.path + "/alerts"
        let sink = DescriptorSink(descriptor: Self.open(path), ownsDescriptor: true)
        sink.write(Array("before".utf8))
        rename(path, path + ".old")
        sink.write(Array("moved".utf8))
        sink.adopt(Self.open(path))
        sink.write(Array("after".utf8))
        #expect(folder.lines("alerts.old") == ["before", "moved"])
        #expect(folder.lines("alerts") == ["after"])
    }

    @Test func descriptorsThatWereOwnedAreClosedOnce() throws {
        let folder = try Folder()
        func openHere() throws -> Int {
            try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count { entry in
                let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(entry)")
                return target?.hasPrefix(folder.path) == true
            }
        }
        var sink: DescriptorSink? = DescriptorSink(descriptor: Self.open(folder.path + "/0"), ownsDescriptor: true)
        for number in 1...5 { sink?.adopt(Self.open("\(folder.path)/\(number)")) }
        sink?.write([0x61])
        #expect(try openHere() == 1)
        sink?.adopt(Self.open(folder.path + "/6"))
        sink = nil
        #expect(try openHere() == 0)
        #expect(folder.lines("5") == ["a"])
    }

    @Test func aLineThatWasBegunEndsInItsOldPlace() throws {
        let folder = try Folder()
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        for end in ends { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
        defer { close(ends[0]) }
        let sink = DescriptorSink(descriptor: ends[1], ownsDescriptor: true, patience: 1)
        // Three of a pipe's sixteen pages a line, so that one line stops in its middle.
        let line = [UInt8](repeating: UInt8(ascii: "x"), count: 10_000)
        while sink.counters.pending == 0 && sink.counters.lost < 100 { sink.write(line) }
        try #require(sink.counters.pending == 1)
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        let begun = read(ends[0], &buffer, buffer.count)
        sink.adopt(Self.open(folder.path + "/next"))
        sink.write(Array("first".utf8))
        var piped = Array(buffer[..<max(0, begun)])
        let ended = read(ends[0], &buffer, buffer.count)
        piped += buffer[..<max(0, ended)]
        #expect(piped.last == UInt8(ascii: "\n"))
        #expect(piped.split(separator: UInt8(ascii: "\n")).allSatisfy { $0.count == 10_000 })
        #expect(folder.lines("next") == ["first"])
    }

    @Test func aSlowReaderCostsWholeLines() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        for end in ends { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
        defer { for end in ends { close(end) } }
        let sink = DescriptorSink(descriptor: ends[1], ownsDescriptor: false, patience: 1)
        let line = [UInt8](repeating: UInt8(ascii: "x"), count: 3000)
        for _ in 0..<60 { sink.write(line) }
        #expect(sink.counters.lost > 0)
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        repeat {
            let count = read(ends[0], &buffer, buffer.count)
            if count <= 0 { break }
            text += buffer[..<count]
        } while sink.flush() == false || sink.counters.pending > 0
        let rest = read(ends[0], &buffer, buffer.count)
        if rest > 0 { text += buffer[..<rest] }
        let lines = text.split(separator: UInt8(ascii: "\n"))
        #expect(lines.allSatisfy { $0.count == 3000 })
        #expect(UInt64(lines.count) == sink.counters.written)
        #expect(sink.counters.written + sink.counters.lost == 60)
    }
}

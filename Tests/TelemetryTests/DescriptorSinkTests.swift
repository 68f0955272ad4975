import Foundation
import Telemetry
import Testing

@Suite struct DescriptorSinkTests {
    private func open(_ path: String) -> Int32 { Glibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600) }

    @Test func aFileIsChangedAtItsLimitAndNoLineIsLostOrCut() throws {
        let folder = try Folder()
        let path = folder.path + "/alerts"
        let sink = DescriptorSink(
            descriptor: open(path), ownsDescriptor: true, maximumBytes: 100,
            reopen: { reason in
                #expect(reason == .sizeLimit)
                for number in stride(from: 50, through: 1, by: -1) {
                    rename("\(path).\(number)", "\(path).\(number + 1)")
                }
                rename(path, path + ".1")
                return open(path)
            })
        let all = (100..<200).map { "line number \($0)" }
        for line in all { sink.write(Array(line.utf8)) }
        var found = folder.lines("alerts")
        for number in 1...50 {
            let lines = folder.lines("alerts.\(number)")
            #expect(lines.reduce(0) { $0 + $1.utf8.count + 1 } <= 100)
            found = lines + found
        }
        #expect(found == all)
        #expect(sink.counters.written == 100 && sink.counters.lost == 0)
    }

    @Test func whatCannotBeChangedGrowsAndIsCounted() throws {
        let folder = try Folder()
        let path = folder.path + "/alerts"
        let sink = DescriptorSink(descriptor: open(path), ownsDescriptor: true, maximumBytes: 50, reopen: { _ in nil })
        for number in 0..<20 { sink.write(Array("line \(number)".utf8)) }
        #expect(folder.lines("alerts").count == 20)
        #expect(sink.failedRotations > 0)
        #expect(sink.counters.lost == 0)
    }

    @Test func aFileThatSomebodyMovedIsOpenedAgainWhenAsked() throws {
        let folder = try Folder()
        let path = folder.path + "/alerts"
        let sink = DescriptorSink(descriptor: open(path), ownsDescriptor: true, reopen: { _ in open(path) })
        sink.write(Array("before".utf8))
        rename(path, path + ".old")
        sink.write(Array("moved".utf8))
        #expect(sink.reopen())
        sink.write(Array("after".utf8))
        #expect(folder.lines("alerts.old") == ["before", "moved"])
        #expect(folder.lines("alerts") == ["after"])
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

import Foundation
import Telemetry
import Testing

/// A folder that goes with the test.
private final class Folder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "portcullis-sinks-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func lines(_ name: String) -> [String] {
        let text = (try? String(contentsOfFile: "\(path)/\(name)", encoding: .utf8)) ?? ""
        return text.split(separator: "\n").map(String.init)
    }
}

/// The daemon's end of /dev/log.
private final class LogSocket {
    let descriptor: Int32

    init(_ path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        unlink(path)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0)
    }

    deinit { close(descriptor) }

    func next() -> String? {
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        return count < 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self)
    }
}

@Suite struct SyslogSinkTests {
    @Test func aLineIsOneMessageWithItsHeader() throws {
        let folder = try Folder()
        let daemon = try LogSocket(folder.path + "/log")
        let sink = SyslogSink(path: folder.path + "/log", hostName: "node 1\n", clock: ManualClock().clock)
        sink.write(Array("{\"a\":1}".utf8))
        let message = try #require(daemon.next())
        // authpriv.notice = 10 * 8 + 5; the time is the clock's; blanks and line ends cannot be in a host name.
        #expect(message == "<85>1 2026-05-26T05:03:37.000000Z node1 portcullis \(getpid()) alert - {\"a\":1}")
        #expect(daemon.next() == nil)
        #expect(sink.counters.written == 1 && sink.counters.lost == 0)
    }

    @Test func aLineEndInsideDoesNotMakeTwoMessages() throws {
        let folder = try Folder()
        let daemon = try LogSocket(folder.path + "/log")
        let sink = SyslogSink(path: folder.path + "/log", hostName: "n")
        sink.write(Array("one\n<0>two".utf8))
        #expect(try #require(daemon.next()).hasSuffix(" alert - one <0>two"))
        #expect(daemon.next() == nil)
    }

    @Test func aRestartedDaemonIsFoundAgain() throws {
        let folder = try Folder()
        let path = folder.path + "/log"
        let sink = SyslogSink(path: path, hostName: "n")
        sink.write(Array("nobody listens".utf8))
        #expect(sink.counters.lost == 1 && sink.counters.lastError == ENOENT)
        do {
            let first = try LogSocket(path)
            sink.write(Array("first".utf8))
            #expect(first.next()?.hasSuffix("first") == true)
        }
        sink.write(Array("between".utf8))
        #expect(sink.counters.lost == 2)
        let second = try LogSocket(path)
        sink.write(Array("second".utf8))
        #expect(second.next()?.hasSuffix("second") == true)
        #expect(sink.counters.written == 2)
    }

    @Test func aFullSocketCostsItsOwnLinesOnly() throws {
        let folder = try Folder()
        let daemon = try LogSocket(folder.path + "/log")
        let sink = SyslogSink(path: folder.path + "/log", hostName: "n", patience: 1)
        for number in 0..<2000 { sink.write(Array("line \(number)".utf8)) }
        var received: UInt64 = 0
        while daemon.next() != nil { received += 1 }
        #expect(sink.counters.lost > 0)
        #expect(sink.counters.written == received)
        #expect(sink.counters.written + sink.counters.lost == 2000)
    }
}

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

import Foundation
import Testing

@testable import Telemetry

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
    /// What the daemon makes of a datagram, by the grammar that journald's and rsyslog's readers of /dev/log share.
    private struct Message {
        var priority: Int
        var time: String
        var tag: String
        var process: Int32
        var text: String

        init?(_ datagram: String) {
            let form = /<(\d{1,3})>([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) ([A-Za-z0-9._-]{1,32})\[(\d+)\]: (.*)/
                .dotMatchesNewlines()
            guard let found = try? form.wholeMatch(in: datagram), let priority = Int(found.1), priority <= 191,
                let process = Int32(found.4)
            else { return nil }
            self.priority = priority
            time = String(found.2)
            tag = String(found.3)
            self.process = process
            text = String(found.5)
        }
    }

    @Test func aLineIsOneMessageWithItsHeader() throws {
        let folder = try Folder()
        let daemon = try LogSocket(folder.path + "/log")
        let clock = ManualClock().clock
        let sink = SyslogSink(path: folder.path + "/log", clock: clock)
        sink.write(Array("{\"a\":1}".utf8))
        let message = try #require(daemon.next().flatMap(Message.init))
        // authpriv.notice = 10 * 8 + 5
        #expect(message.priority == 85)
        #expect(message.tag == "portcullis")
        #expect(message.process == getpid())
        #expect(message.text == "{\"a\":1}")
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.dateFormat = "MMM dd HH:mm:ss"
        let date = Date(timeIntervalSince1970: Double(clock.wall() / 1_000_000_000))
        #expect(message.time == formatter.string(from: date))
        #expect(daemon.next() == nil)
        #expect(sink.counters.written == 1 && sink.counters.lost == 0)
    }

    @Test func aDayOfOneDigitHasABlankBeforeIt() {
        // The zone of the machine may put the evening of the 2nd or the morning of the 3rd here, both of one digit.
        var bytes: [UInt8] = []
        SyslogSink.append(localTime: 1_767_398_400_000_000_000, to: &bytes)
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(text.count == 15)
        #expect(text.hasPrefix("Jan  2 ") || text.hasPrefix("Jan  3 "))
    }

    @Test(arguments: [
        (UInt8(0), UInt8(0), 0), (10, 5, 85), (23, 7, 191), (200, 200, 191),
    ])
    func priorityIsFacilityTimesEightPlusSeverity(facility: UInt8, severity: UInt8, priority: Int) throws {
        let folder = try Folder()
        let daemon = try LogSocket(folder.path + "/log")
        let sink = SyslogSink(path: folder.path + "/log", facility: facility, severity: severity)
        sink.write(Array("x".utf8))
        #expect(daemon.next().flatMap(Message.init)?.priority == priority)
    }

    @Test func nothingInALineOrATagCanForgeAMessage() throws {
        let folder = try Folder()
        let daemon = try LogSocket(folder.path + "/log")
        let sink = SyslogSink(path: folder.path + "/log", application: "a b]:\n<0>c")
        sink.write(Array("one\n<0>two\r\0\u{1b}[2J\u{7f}end".utf8))
        let datagram = try #require(daemon.next())
        #expect(datagram.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f })
        let message = try #require(Message(datagram))
        #expect(message.tag == "ab0c")
        #expect(message.text == "one <0>two   [2J end")
        #expect(daemon.next() == nil)
    }

    @Test func aRestartedDaemonIsFoundAgain() throws {
        let folder = try Folder()
        let path = folder.path + "/log"
        let sink = SyslogSink(path: path)
        sink.write(Array("nobody listens".utf8))
        #expect(sink.counters.lost == 1 && sink.counters.lastError == ENOENT)
        do {
            let first = try LogSocket(path)
            sink.write(Array("first".utf8))
            #expect(first.next()?.hasSuffix("]: first") == true)
        }
        sink.write(Array("between".utf8))
        #expect(sink.counters.lost == 2 && sink.counters.lastError == ECONNREFUSED)
        let second = try LogSocket(path)
        sink.write(Array("second".utf8))
        #expect(second.next()?.hasSuffix("]: second") == true)
        #expect(sink.counters.written == 2)
    }

    @Test func aFullSocketCostsItsOwnLinesOnly() throws {
        let folder = try Folder()
        let daemon = try LogSocket(folder.path + "/log")
        let sink = SyslogSink(path: folder.path + "/log", patience: 1)
        for number in 0..<2000 { sink.write(Array("line \(number)".utf8)) }
        var received: UInt64 = 0
        while daemon.next() != nil { received += 1 }
        #expect(sink.counters.lost > 0 && sink.counters.lastError == EAGAIN)
        #expect(sink.counters.written == received)
        #expect(sink.counters.written + sink.counters.lost == 2000)
        // The room is back, and so are the lines.
        sink.write(Array("after".utf8))
        #expect(daemon.next()?.hasSuffix("]: after") == true)
    }
}

import Glibc
import Synchronization

/// Sends each line as one message to the local syslog socket, framed as syslog(3) does it: `<PRI>Mmm dd hh:mm:ss TAG[PID]: `
/// in one datagram. That is RFC 3164 without a host name: what journald and rsyslog take apart on `/dev/log` (an RFC 5424
/// header would end up in the text). A log daemon that was restarted is found again with the next line.
public final class SyslogSink: AlertSink {
    private struct State: Sendable {
        var descriptor: Int32 = -1
        var counters = SinkCounters()
        var datagram: [UInt8] = []
    }

    private let path: String
    private let priority: [UInt8]
    private let tag: [UInt8]
    private let clock: TelemetryClock
    private let patience: Int32
    private let state: Mutex<State>

    /// Creates a sink; the socket is connected when the first line comes.
    ///
    /// - Parameters:
    ///   - path: the daemon's socket, at most 107 bytes (unix(7)).
    ///   - facility: RFC 3164 number, at most 23; 10 is authpriv.
    ///   - severity: RFC 3164 number, at most 7; 5 is notice.
    ///   - application: the tag, reduced to letters, digits, `.`, `_` and `-` and cut to 32 characters.
    ///   - patience: milliseconds a full socket is waited for.
    public init(
        path: String = "/dev/log", facility: UInt8 = 10, severity: UInt8 = 5, application: String = "portcullis",
        clock: TelemetryClock = .system, patience: Int32 = 100
    ) {
        self.path = path
        self.clock = clock
        self.patience = patience
        priority = Array("<\(Int(min(facility, 23)) * 8 + Int(min(severity, 7)))>".utf8)
        tag = Array(" \(Self.tag(application))[\(getpid())]: ".utf8)
        state = Mutex(State())
    }

    deinit {
        state.withLock { if $0.descriptor >= 0 { close($0.descriptor) } }
    }

    /// See `AlertSink`.
    public var counters: SinkCounters { state.withLock { $0.counters } }

    /// See `AlertSink`.
    public func write(_ line: [UInt8]) {
        state.withLock { state in
            state.datagram.removeAll(keepingCapacity: true)
            state.datagram.append(contentsOf: priority)
            Self.append(localTime: clock.wall(), to: &state.datagram)
            state.datagram.append(contentsOf: tag)
            // One record per datagram: a line end would read as several, and other controls are for terminals.
            for byte in line { state.datagram.append(byte < 0x20 || byte == 0x7f ? UInt8(ascii: " ") : byte) }
            var code = send(&state)
            if [ECONNREFUSED, ENOTCONN, ECONNRESET, EDESTADDRREQ, EPIPE].contains(code), connect(&state) == 0 {
                code = send(&state)
            }
            if code == 0 {
                state.counters.written += 1
            } else {
                state.counters.lost += 1
                state.counters.lastError = code
            }
        }
    }

    /// A datagram is never half sent, so nothing is ever left.
    @discardableResult public func flush() -> Bool { true }

    private static func tag(_ text: String) -> String {
        let kept = text.utf8.filter { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        return kept.isEmpty ? "portcullis" : String(decoding: kept.prefix(32), as: UTF8.self)
    }

    /// `Nov  3 07:08:09` (RFC 3164 section 4.1.2), in the machine's time zone as the daemons expect it.
    static func append(localTime wallClock: UInt64, to bytes: inout [UInt8]) {
        var seconds = time_t(wallClock / 1_000_000_000)
        var parts = tm()
        guard localtime_r(&seconds, &parts) != nil else { return }
        let months: StaticString = "JanFebMarAprMayJunJulAugSepOctNovDec"
        let month = UnsafeBufferPointer(start: months.utf8Start, count: 36)
        bytes.append(contentsOf: month[(Int(parts.tm_mon) * 3)..<(Int(parts.tm_mon) * 3 + 3)])
        for (separator, value, fill) in [
            (UInt8(ascii: " "), parts.tm_mday, UInt8(ascii: " ")),
            (UInt8(ascii: " "), parts.tm_hour, UInt8(ascii: "0")),
            (UInt8(ascii: ":"), parts.tm_min, UInt8(ascii: "0")), (UInt8(ascii: ":"), parts.tm_sec, UInt8(ascii: "0")),
        ] {
            bytes.append(separator)
            bytes.append(value < 10 ? fill : UInt8(ascii: "0") + UInt8(value / 10))
            bytes.append(UInt8(ascii: "0") + UInt8(value % 10))
        }
    }

    private func send(_ state: inout State) -> Int32 {
        if state.descriptor < 0 {
            let code = connect(&state)
            if code != 0 { return code }
        }
        for attempt in 0...1 {
            let count = state.datagram.withUnsafeBytes {
                Glibc.send(
                    state.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
            }
            if count >= 0 { return 0 }
            let code = errno
            guard attempt == 0, code == EAGAIN || code == EINTR else { return code }
            var request = pollfd(fd: state.descriptor, events: Int16(POLLOUT), revents: 0)
            _ = poll(&request, 1, patience)
        }
        return EAGAIN
    }

    private func connect(_ state: inout State) -> Int32 {
        var address = sockaddr_un()
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return ENAMETOOLONG }
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { return errno }
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard status == 0 else {
            let code = errno
            close(descriptor)
            return code
        }
        if state.descriptor >= 0 { close(state.descriptor) }
        state.descriptor = descriptor
        return 0
    }
}

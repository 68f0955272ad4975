import Glibc
import Synchronization

/// Sends each line as one RFC 5424 message to the local syslog socket (a datagram, as syslog(3) does). A log daemon that
/// was restarted is found again with the next line.
public final class SyslogSink: AlertSink {
    private struct State: Sendable {
        var descriptor: Int32 = -1
        var counters = SinkCounters()
        var datagram: [UInt8] = []
    }

    private let path: String
    private let header: [UInt8]
    private let trailer: [UInt8]
    private let clock: TelemetryClock
    private let patience: Int32
    private let state: Mutex<State>

    /// Creates a sink; the socket is connected when the first line comes.
    ///
    /// - Parameters:
    ///   - path: the daemon's socket, at most 107 bytes (unix(7)).
    ///   - facility: RFC 5424 number; 10 is authpriv.
    ///   - severity: RFC 5424 number; 5 is notice.
    ///   - hostName, application: header fields, reduced to printable ASCII and cut to 255 and 48 characters.
    ///   - patience: milliseconds a full socket is waited for.
    public init(
        path: String = "/dev/log", facility: UInt8 = 10, severity: UInt8 = 5, hostName: String,
        application: String = "portcullis", clock: TelemetryClock = .system, patience: Int32 = 100
    ) {
        self.path = path
        self.clock = clock
        self.patience = patience
        header = Array("<\(Int(min(facility, 23)) * 8 + Int(min(severity, 7)))>1 ".utf8)
        trailer = Array(
            "Z \(Self.headerField(hostName, 255)) \(Self.headerField(application, 48)) \(getpid()) alert - ".utf8)
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
            state.datagram.append(contentsOf: header)
            UTCTime(wallClock: clock.wall()).append(to: &state.datagram, separator: UInt8(ascii: "T"))
            state.datagram.append(contentsOf: trailer)
            // One record per datagram: a text record's line ends would read as several.
            for byte in line { state.datagram.append(byte == UInt8(ascii: "\n") ? UInt8(ascii: " ") : byte) }
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

    /// See `AlertSink`.
    @discardableResult public func reopen() -> Bool { state.withLock { connect(&$0) == 0 } }

    private static func headerField(_ text: String, _ limit: Int) -> String {
        let printable = text.utf8.filter { $0 > 0x20 && $0 < 0x7f }.prefix(limit)
        return printable.isEmpty ? "-" : String(decoding: printable, as: UTF8.self)
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

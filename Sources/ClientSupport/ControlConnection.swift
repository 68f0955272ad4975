import ControlProtocol
import Glibc

/// One request to the agent and its answers, as lines over the agent's unix socket.
package final class ControlConnection {
    /// Why there is no answer.
    package enum Failure: Error, Equatable {
        /// Nobody listens there, or nobody answered in time, or the connection ended.
        case unreachable
        /// The system does not let this user connect.
        case notPermitted
        /// What came back is no answer.
        case garbled
        /// The request is too long for the protocol.
        case tooLong

        /// For people.
        package func failure(_ socket: String) -> ToolFailure {
            switch self {
            case .unreachable: .noAgent(socket)
            case .notPermitted: ToolFailure("\(socket): \(systemMessage(EACCES))", code: .notPermitted)
            case .garbled: ToolFailure("what answers on \(socket) is no agent of this version")
            case .tooLong: ToolFailure("the request is longer than \(LineFramer.defaultLimit) bytes")
            }
        }
    }

    private let descriptor: Int32
    private var framer = LineFramer()
    private var waiting: ArraySlice<[UInt8]> = []
    private let deadline: Double?

    /// Connects and sends a request, newline included.
    ///
    /// - Parameter seconds: for connecting, sending and the whole of the answer; `nil` waits for answers without an end.
    package init(to socket: String, _ line: [UInt8], seconds: Int?) throws(Failure) {
        guard line.count <= LineFramer.defaultLimit else { throw .tooLong }
        descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else {
            deadline = nil
            throw .unreachable
        }
        deadline = seconds.map { Self.now() + Double($0) }
        Self.limit(descriptor, SO_SNDTIMEO, Double(seconds ?? 5))
        try Self.connect(descriptor, socket)
        try send(line)
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// The next answer, without its newline.
    package func next() throws(Failure) -> [UInt8] {
        while waiting.isEmpty {
            var buffer = [UInt8](repeating: 0, count: 65536)
            if let deadline {
                let rest = deadline - Self.now()
                guard rest > 0 else { throw .unreachable }
                Self.limit(descriptor, SO_RCVTIMEO, rest)
            }
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw .unreachable }
            do { waiting = ArraySlice(try framer.append(buffer[..<count])) } catch { throw .garbled }
        }
        return waiting.removeFirst()
    }

    private static func connect(_ descriptor: Int32, _ socket: String) throws(Failure) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = Array(socket.utf8)
        guard !path.isEmpty, path.count < MemoryLayout.size(ofValue: address.sun_path) else { throw .unreachable }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        if result != 0 { throw errno == EACCES || errno == EPERM ? .notPermitted : .unreachable }
    }

    private func send(_ line: [UInt8]) throws(Failure) {
        var start = 0
        while start < line.count {
            let count = line[start...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0 && errno == EINTR { continue }
            // An agent that refuses this user answers and closes without waiting for the request; the answer is there to read.
            if count < 0 && (errno == EPIPE || errno == ECONNRESET) { return }
            guard count > 0 else { throw .unreachable }
            start += count
        }
    }

    private static func limit(_ descriptor: Int32, _ option: Int32, _ seconds: Double) {
        // Zero would mean without an end.
        let micro = max(1, Int((seconds * 1_000_000).rounded(.up)))
        var time = timeval(tv_sec: micro / 1_000_000, tv_usec: micro % 1_000_000)
        setsockopt(descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
    }

    private static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

import ControlJSON
import ControlProtocol
import GRPCCore
import GatewayProtocol
import Glibc
import LinuxKernel
import NIOPosix
import Synchronization

/// Asks the front, one question at a time, over the connection that the guardian made.
///
/// An answer that does not come in time leaves the connection in doubt: it is given up, and another one is asked for.
final class FrontLink: Sendable {
    private struct Connection {
        var socket: Int32 = -1
        var framer = LineFramer()
        var lines: [[UInt8]] = []
    }
    private let link: GuardianLink
    private let connection = Mutex(Connection())
    /// One thread, so that questions wait for each other and for nobody else.
    private let pool: NIOThreadPool
    private let waiting = Atomic<Int>(0)
    /// Most questions that wait.
    private static let limit = 64

    init(_ link: GuardianLink) {
        self.link = link
        pool = NIOThreadPool(numberOfThreads: 1)
        pool.start()
    }

    /// Asks and waits for the answer.
    ///
    /// - Throws: `unavailable` while there is no front, `deadlineExceeded` when it does not answer, `resourceExhausted` when too many ask.
    func ask(_ request: ControlRequest, seconds: Int = 30) async throws -> ControlResponse {
        guard waiting.wrappingAdd(1, ordering: .relaxed).newValue <= Self.limit else {
            waiting.wrappingSubtract(1, ordering: .relaxed)
            throw RPCError(code: .resourceExhausted, message: "too many questions wait for the agent")
        }
        defer { waiting.wrappingSubtract(1, ordering: .relaxed) }
        return try await pool.runIfActive { [self] in
            try connection.withLock { connection in
                do { return try exchange(request, seconds, &connection) } catch {
                    if connection.socket >= 0 { RawDescriptor.close(connection.socket) }
                    connection = Connection()
                    link.ask(.askControl)
                    throw error
                }
            }
        }
    }

    private func exchange(
        _ request: ControlRequest, _ seconds: Int, _ connection: inout Connection
    ) throws -> ControlResponse {
        let end = KernelClock.monotonic + UInt64(seconds) * 1_000_000_000
        if let fresh = link.takeControl() {
            if connection.socket >= 0 { RawDescriptor.close(connection.socket) }
            connection = Connection()
            connection.socket = fresh
        }
        guard connection.socket >= 0 else { throw RPCError(code: .unavailable, message: "the agent is starting") }
        let line = try ControlCoding.encode(request)
        guard line.count <= LineFramer.defaultLimit else {
            throw RPCError(code: .invalidArgument, message: "the request is too long")
        }
        try Self.send(connection.socket, line, until: end)
        while connection.lines.isEmpty {
            guard try Self.wait(connection.socket, POLLIN, until: end) else {
                throw RPCError(code: .deadlineExceeded, message: "the agent does not answer")
            }
            var buffer = [UInt8](repeating: 0, count: 64 << 10)
            let count = recv(connection.socket, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            if count < 0, errno == EAGAIN || errno == EINTR { continue }
            guard count > 0 else { throw RPCError(code: .unavailable, message: "the agent is being restarted") }
            connection.lines += try connection.framer.append(buffer[..<count])
        }
        return try ControlCoding.decode(ControlResponse.self, connection.lines.removeFirst())
    }

    private static func send(_ socket: Int32, _ line: [UInt8], until end: UInt64) throws {
        var offset = 0
        while offset < line.count {
            let count = line.withUnsafeBytes { raw in
                let rest = UnsafeRawBufferPointer(rebasing: raw[offset...])
                return Glibc.send(
                    socket, rest.baseAddress, rest.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                offset += count
            } else if count < 0, errno == EAGAIN || errno == EINTR {
                guard try wait(socket, POLLOUT, until: end) else {
                    throw RPCError(code: .deadlineExceeded, message: "the agent does not take the request")
                }
            } else {
                throw RPCError(code: .unavailable, message: "the agent is being restarted")
            }
        }
    }

    /// False when the time is over.
    private static func wait(_ socket: Int32, _ events: Int32, until end: UInt64) throws -> Bool {
        let now = KernelClock.monotonic
        guard now < end else { return false }
        var request = pollfd(fd: socket, events: Int16(events), revents: 0)
        _ = poll(&request, 1, Int32(clamping: (end - now) / 1_000_000 + 1))
        return true
    }
}

import Foundation
import Synchronization

/// Answers DNS queries on port 53 of an end of a test network, over UDP and TCP, and remembers what it was asked.
final class Resolver: Sendable {
    private struct State: Sendable {
        var names: [String] = []
        var connections = 0
    }

    private let state = Mutex(State())
    private let stopping = Atomic<Bool>(false)

    init(at end: TestNetwork.End) throws {
        for version in [4, 6] {
            let datagrams = try end.run { try TestSocket(version, SOCK_DGRAM) }
            try datagrams.bind(end.address(version), 53)
            let listener = try end.run { try TestSocket(version, SOCK_STREAM) }
            try listener.bind(end.address(version), 53)
            listener.listen()
            nonisolated(unsafe) let sockets = (datagrams, listener)
            start { $0.answerDatagrams(sockets.0) }
            start { $0.answerConnections(sockets.1) }
        }
    }

    private func start(_ body: @escaping @Sendable (Resolver) -> Void) {
        let thread = Thread { [weak self] in
            while let resolver = self, !resolver.stopping.load(ordering: .relaxed) { body(resolver) }
        }
        thread.start()
    }

    deinit { stopping.store(true, ordering: .relaxed) }

    /// The names that were asked for since the last time.
    func takeNames() -> [String] {
        // What is on its way arrives in this time.
        Thread.sleep(forTimeInterval: 0.05)
        return state.withLock { state in
            defer { state.names = [] }
            return state.names
        }
    }

    /// How many connections came about.
    var connections: Int { state.withLock { $0.connections } }

    private func answerDatagrams(_ socket: TestSocket) {
        var from = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        guard socket.isReadable(50) else { return }
        var buffer = [UInt8](repeating: 0, count: 4096)
        withUnsafeMutablePointer(to: &from) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                let count = recvfrom(socket.descriptor, &buffer, buffer.count, 0, address, &length)
                guard count >= 12 else { return }
                note(Array(buffer.prefix(count)))
                // QR and RA: an answer, without an address.
                (buffer[2], buffer[3]) = (buffer[2] | 0x80, 0x80)
                sendto(socket.descriptor, buffer, count, 0, address, length)
            }
        }
    }

    private func answerConnections(_ listener: TestSocket) {
        guard listener.isReadable(50), let connection = listener.accept() else { return }
        state.withLock { $0.connections += 1 }
        guard let message = connection.receive(500), message.count > 14 else { return }
        note(Array(message.dropFirst(2)))
        _ = message.withUnsafeBytes { send(connection.descriptor, $0.baseAddress, $0.count, 0) }
    }

    private func note(_ message: [UInt8]) {
        var labels: [String] = []
        var (at, jumps) = (12, 0)
        while at < message.count, message[at] != 0, jumps < 10 {
            let size = Int(message[at])
            if size & 0xC0 != 0, at + 1 < message.count {
                (at, jumps) = ((size & 0x3F) << 8 | Int(message[at + 1]), jumps + 1)
                continue
            }
            labels.append(String(decoding: message.dropFirst(at + 1).prefix(size), as: UTF8.self))
            at += size + 1
        }
        state.withLock { $0.names.append(labels.joined(separator: ".")) }
    }
}

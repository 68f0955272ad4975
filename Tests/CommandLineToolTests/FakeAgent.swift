import ControlJSON
import ControlProtocol
import Foundation
import Synchronization

/// Something that answers on a unix socket as an agent does, or as a broken one does.
final class FakeAgent: Sendable {
    /// What is sent back on a request, before the connection is closed.
    enum Behaviour: Sendable {
        case answer(@Sendable (ControlRequest) -> [ControlResponse])
        case bytes([UInt8])
        /// Takes the request and keeps the connection.
        case silence
        /// Sends this to everybody and closes, without waiting for a request.
        case refusal(ControlResponse)
    }

    let socket: String
    private let listener: Int32
    private let received = Mutex<[ControlRequest]>([])
    private let held = Mutex<[Int32]>([])

    init(in folder: TestFolder, _ behaviour: Behaviour) throws {
        socket = folder.path + "/agent.sock"
        listener = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(socket.utf8)) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard bound == 0, listen(listener, 16) == 0 else { throw CocoaError(.fileWriteUnknown) }
        let thread = Thread { [self] in serve(behaviour) }
        thread.start()
    }

    /// Every request so far.
    var requests: [ControlRequest] { received.withLock { $0 } }

    /// Ends the thread; the tests call it because the thread keeps the agent alive.
    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        held.withLock { for descriptor in $0 { close(descriptor) } }
    }

    private func serve(_ behaviour: Behaviour) {
        while true {
            let client = accept(listener, nil, nil)
            guard client >= 0 else { break }
            if case .refusal(let response) = behaviour {
                send(client, (try? ControlCoding.encode(response)) ?? [])
                close(client)
                continue
            }
            guard let request = read(client) else {
                close(client)
                continue
            }
            received.withLock { $0.append(request) }
            switch behaviour {
            case .refusal: break
            case .silence: held.withLock { $0.append(client) }
            case .bytes(let bytes):
                send(client, bytes)
                close(client)
            case .answer(let answer):
                for response in answer(request) { send(client, (try? ControlCoding.encode(response)) ?? []) }
                close(client)
            }
        }
        close(listener)
    }

    private func read(_ client: Int32) -> ControlRequest? {
        var framer = LineFramer()
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(client, &buffer, buffer.count, 0)
            guard count > 0, let lines = try? framer.append(buffer[..<count]) else { return nil }
            if let line = lines.first { return try? ControlCoding.decode(ControlRequest.self, line) }
        }
    }

    private func send(_ client: Int32, _ bytes: [UInt8]) {
        _ = Glibc.send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }
}

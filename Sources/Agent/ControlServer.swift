import ControlJSON
import ControlProtocol
import LinuxKernel

/// The clients of the control socket: accepts, frames, and writes back, without ever waiting for one of them.
final class ControlServer {
    /// Most clients at once.
    static let clientLimit = 16
    /// Most bytes that wait for a client; an alert stream loses alerts beyond, an answer ends the connection.
    private static let outputLimit = 16 << 20

    /// A connected client.
    final class Client {
        let socket: Int32
        let user: UInt32
        fileprivate var framer = LineFramer()
        fileprivate var output: [UInt8] = []
        /// Filters of a client that asked for alerts.
        var filters: [String: String]?
        fileprivate var lost: UInt64 = 0
        fileprivate var isFinished = false
        /// The gateway, which asks in the name of others and has made sure that they may.
        let isGateway: Bool

        fileprivate init(socket: Int32, user: UInt32, isGateway: Bool = false) {
            self.socket = socket
            self.user = user
            self.isGateway = isGateway
        }
    }

    private let listener: Int32
    private(set) var clients: [Client] = []
    /// Users that may ask; root always.
    private let permittedUsers: Set<UInt32>

    init(listener: Int32, permittedUsers: Set<UInt32> = []) {
        self.listener = listener
        self.permittedUsers = permittedUsers.union([0])
    }

    /// Adds listener and clients to a poll set; `handle` takes the result in the same order.
    func addDescriptors(to poll: inout PollSet) {
        poll.add(clients.count < Self.clientLimit ? listener : -1, .readable)
        for client in clients { poll.add(client.socket, client.output.isEmpty ? .readable : [.readable, .writable]) }
    }

    /// Serves what poll found, from index `first` on.
    func handle(_ poll: PollSet, first: Int, _ answer: (ControlRequest, Client) -> Void) {
        let present = clients
        for (index, client) in present.enumerated() {
            let events = poll.events(at: first + 1 + index)
            if events.contains(.writable) { flush(client) }
            if !events.isDisjoint(with: [.readable, .hangUp, .error]) { read(client, answer) }
        }
        if poll.events(at: first).contains(.readable) { accept() }
        clients.removeAll { client in
            let isDone = client.isFinished && client.output.isEmpty
            if isDone { RawDescriptor.close(client.socket) }
            return isDone
        }
    }

    /// Sends an answer.
    func send(_ response: ControlResponse, to client: Client) {
        guard let bytes = try? ControlCoding.encode(response) else { return }
        guard client.output.count + bytes.count <= Self.outputLimit else {
            client.isFinished = true
            client.output = []
            return
        }
        client.output += bytes
        flush(client)
    }

    /// Sends an alert to every client that wants it.
    func publish(_ json: [UInt8], lost: UInt64) {
        let text = String(decoding: json, as: UTF8.self)
        for client in clients {
            guard let filters = client.filters else { continue }
            client.lost += lost
            guard client.output.count < Self.outputLimit / 2 else {
                client.lost += 1
                continue
            }
            if client.lost > 0 {
                send(.lost(count: client.lost), to: client)
                client.lost = 0
            }
            if AlertFilter.matches(json, filters) { send(.alert(json: text), to: client) }
        }
    }

    /// Takes a connection that the guardian made; the one before it is of no use any more.
    func add(gateway socket: Int32) {
        for client in clients where client.isGateway {
            client.isFinished = true
            client.output = []
        }
        clients.append(Client(socket: socket, user: UInt32.max, isGateway: true))
    }

    /// Whether a client wants alerts.
    var hasSubscribers: Bool { clients.contains { $0.filters != nil } }

    private func accept() {
        guard let socket = try? UnixSocket.accept(listener, nonblocking: true) else { return }
        guard let peer = try? UnixSocket.peer(of: socket.raw) else { return }
        let client = Client(socket: socket.release(), user: peer.uid)
        clients.append(client)
        if !permittedUsers.contains(peer.uid) {
            send(.notPermitted(message: "user \(peer.uid) may not ask this agent"), to: client)
            client.isFinished = true
        }
    }

    private func read(_ client: Client, _ answer: (ControlRequest, Client) -> Void) {
        var failure = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: 65536) { buffer, count in
            let result = RawDescriptor.read(client.socket, into: UnsafeMutableRawBufferPointer(buffer))
            count = max(0, result)
            failure = min(0, result)
        }
        // EAGAIN, EINTR: not now.
        if failure == -11 || failure == -4 { return }
        guard !bytes.isEmpty else {
            // A client that only shut its sending side down still gets what was asked for.
            if failure == 0 && !client.output.isEmpty {
                client.isFinished = true
                return
            }
            client.isFinished = true
            client.output = []
            return
        }
        guard !client.isFinished, let lines = try? client.framer.append(bytes) else {
            client.isFinished = true
            return
        }
        for line in lines {
            guard let request = try? ControlCoding.decode(ControlRequest.self, line) else {
                send(.failed(messages: ["not a request of this version"]), to: client)
                client.isFinished = true
                return
            }
            answer(request, client)
        }
    }

    private func flush(_ client: Client) {
        while !client.output.isEmpty {
            let written = client.output.withUnsafeBytes { RawDescriptor.write(client.socket, $0) }
            guard written > 0 else {
                if written != -11 && written != -4 {
                    client.isFinished = true
                    client.output = []
                }
                return
            }
            client.output.removeFirst(written)
        }
    }
}

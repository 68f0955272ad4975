import AgentCore
import ContainerHook
import LinuxKernel

/// The socket that container runtimes talk to: they send listeners (`listenerPath` of a seccomp profile), and their hooks ask. A runtime may keep its
/// connection open after it has sent all (runc), or open one and say nothing (crun, when it fails later): what counts is the first whole document.
final class RuntimeServer {
    /// Most connections at once; the oldest goes for one more.
    static let connectionLimit = 512

    /// What has come.
    enum Arrival {
        /// A container's listener, which is the receiver's then.
        case listener(ContainerProcessState, Int32)
        /// A hook's question, with its files, which are the receiver's then.
        case hook(HookMessage, files: [Int32], user: UInt32, HookReply)
    }

    private final class Connection {
        let socket: Int32
        let peer: UnixSocket.Peer
        var bytes: [UInt8] = []
        var descriptors: [Int32] = []

        init(socket: Int32, peer: UnixSocket.Peer) { (self.socket, self.peer) = (socket, peer) }

        func close() {
            for descriptor in descriptors { RawDescriptor.close(descriptor) }
            RawDescriptor.close(socket)
        }
    }

    private let listener: Int32
    private let poll: EventPoll
    private var connections: [UInt64: Connection] = [:]
    private var count: UInt64 = 0
    private let permittedUsers: Set<UInt32>
    private static let listenerTag: UInt64 = 0

    /// - Parameters:
    ///   - listener: the listening socket.
    ///   - permittedUsers: whose runtimes are heard besides root's.
    init(listener: Int32, permittedUsers: Set<UInt32>) throws(KernelError) {
        self.listener = listener
        self.permittedUsers = permittedUsers.union([0])
        poll = try EventPoll()
        let added = poll.add(listener, tag: Self.listenerTag)
        if added < 0 { throw KernelError("epoll_ctl", errno: -added) }
    }

    /// Readable when `handle` has something to do.
    var descriptor: Int32 { poll.descriptor }

    /// Serves what has come.
    func handle(_ take: (Arrival) -> Void) {
        // Others have their turn, too.
        for _ in 0..<64 {
            guard let event = poll.wait(timeoutMilliseconds: 0) else { return }
            if event.tag == Self.listenerTag {
                accept()
                poll.arm(listener, tag: Self.listenerTag)
            } else if let connection = connections[event.tag] {
                if read(connection, take) {
                    connections[event.tag] = nil
                    connection.close()
                } else {
                    poll.arm(connection.socket, tag: event.tag)
                }
            }
        }
    }

    private func accept() {
        guard let socket = try? UnixSocket.accept(listener, nonblocking: true),
            let peer = try? UnixSocket.peer(of: socket.raw)
        else { return }
        guard permittedUsers.contains(peer.uid) else {
            AgentLog.warning("user \(peer.uid) may not tell this agent of containers")
            return
        }
        if connections.count >= Self.connectionLimit, let oldest = connections.keys.min() {
            connections.removeValue(forKey: oldest)?.close()
        }
        count += 1
        let connection = Connection(socket: socket.release(), peer: peer)
        connections[count] = connection
        _ = poll.add(connection.socket, tag: count)
    }

    /// Takes what a connection has; true when it is of no more use.
    private func read(_ connection: Connection, _ take: (Arrival) -> Void) -> Bool {
        var isOver = false
        withUnsafeTemporaryAllocation(byteCount: 65536, alignment: 8) { buffer in
            do throws(KernelError) {
                var message = try UnixSocket.receive(connection.socket, into: buffer, nonblocking: true)
                for index in 0..<message.descriptorCount {
                    if let descriptor = message.takeDescriptor(at: index) {
                        connection.descriptors.append(descriptor.release())
                    }
                }
                connection.bytes += buffer[0..<message.length]
                isOver = message.length == 0 || connection.descriptors.count > UnixSocket.descriptorLimit
            } catch {
                // EAGAIN, EINTR: nothing now.
                isOver = error.errno != 11 && error.errno != 4
            }
        }
        guard !isOver else { return true }
        return connection.bytes.first == HookMessage.mark.first
            ? readHook(connection, take) : readListener(connection, take)
    }

    private func readListener(_ connection: Connection, _ take: (Arrival) -> Void) -> Bool {
        guard let state = ContainerProcessState(connection.bytes) else {
            return connection.bytes.count > ContainerProcessState.limit
        }
        if let index = state.listenerIndex, index < connection.descriptors.count {
            take(.listener(state, connection.descriptors.remove(at: index)))
        } else {
            AgentLog.error("the runtime of container \(state.state.id) sent no listener")
        }
        return true
    }

    private func readHook(_ connection: Connection, _ take: (Arrival) -> Void) -> Bool {
        switch HookMessage.read(connection.bytes) {
        case .incomplete: return false
        case .invalid(let problem):
            AgentLog.error("a container's hook says nothing that is understood: \(problem)")
            return true
        case .message(let message):
            guard let socket = try? Descriptor.duplicating(connection.socket).release() else { return true }
            let files = connection.descriptors
            connection.descriptors = []
            take(.hook(message, files: files, user: connection.peer.uid, HookReply(socket)))
            return true
        }
    }
}

/// The way back to a hook that waits. What is not answered is closed, which the hook takes for an agent that was replaced.
final class HookReply {
    private var socket: Int32

    /// - Parameter socket: its connection, which is this object's then.
    init(_ socket: Int32) { self.socket = socket }

    deinit { if socket >= 0 { RawDescriptor.close(socket) } }

    /// Answers; later answers are no more heard.
    func send(_ answer: HookAnswer) {
        guard socket >= 0 else { return }
        defer {
            RawDescriptor.close(socket)
            socket = -1
        }
        RawDescriptor.setNonblocking(socket, false)
        // A hook that does not read must not hold the agent up.
        try? UnixSocket.limitSending(of: socket, seconds: 2)
        var rest = answer.bytes[...]
        while !rest.isEmpty {
            guard let sent = try? UnixSocket.send(socket, bytes: Array(rest)), sent > 0 else { return }
            rest = rest.dropFirst(sent)
        }
    }
}

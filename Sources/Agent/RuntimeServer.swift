import AgentCore
import LinuxKernel

/// The socket that container runtimes send listeners to (`listenerPath` of a seccomp profile). A runtime may keep its connection open
/// after it has sent all (runc), or open one and say nothing (crun, when it fails later): what counts is the first whole document.
final class RuntimeServer {
    /// Most connections at once; the oldest goes for one more.
    static let connectionLimit = 64

    private struct Connection {
        var socket: Int32
        var peer: UnixSocket.Peer
        var bytes: [UInt8] = []
        var descriptors: [Int32] = []
        var isDone = false
    }

    private let listener: Int32
    private var connections: [Connection] = []
    private let permittedUsers: Set<UInt32>

    /// - Parameters:
    ///   - listener: the listening socket, or a negative number for none.
    ///   - permittedUsers: whose runtimes are heard besides root's.
    init(listener: Int32, permittedUsers: Set<UInt32>) {
        self.listener = listener
        self.permittedUsers = permittedUsers.union([0])
    }

    /// Adds listener and connections to a poll set, whose places it returns.
    func addDescriptors(to poll: inout PollSet) -> Int {
        poll.add(listener, .readable)
        for connection in connections { poll.add(connection.socket, .readable) }
        return 1 + connections.count
    }

    /// Serves what poll found, from index `first` on.
    ///
    /// - Parameter take: gets the state and the listener, which is its own then.
    func handle(_ poll: PollSet, first: Int, _ take: (ContainerProcessState, Int32) -> Void) {
        let count = connections.count
        for index in 0..<count
        where !poll.events(at: first + 1 + index).isDisjoint(with: [.readable, .hangUp, .error]) {
            read(&connections[index], take)
        }
        connections.removeAll { connection in
            if connection.isDone { Self.close(connection) }
            return connection.isDone
        }
        if poll.events(at: first).contains(.readable) { accept() }
    }

    private static func close(_ connection: Connection) {
        for descriptor in connection.descriptors { RawDescriptor.close(descriptor) }
        RawDescriptor.close(connection.socket)
    }

    private func accept() {
        guard let socket = try? UnixSocket.accept(listener, nonblocking: true),
            let peer = try? UnixSocket.peer(of: socket.raw)
        else { return }
        guard permittedUsers.contains(peer.uid) else {
            AgentLog.warning("user \(peer.uid) may not send containers to this agent")
            return
        }
        if connections.count >= Self.connectionLimit { Self.close(connections.removeFirst()) }
        connections.append(Connection(socket: socket.release(), peer: peer))
    }

    private func read(_ connection: inout Connection, _ take: (ContainerProcessState, Int32) -> Void) {
        withUnsafeTemporaryAllocation(byteCount: 65536, alignment: 8) { buffer in
            do throws(KernelError) {
                var message = try UnixSocket.receive(connection.socket, into: buffer, nonblocking: true)
                for index in 0..<message.descriptorCount {
                    if let descriptor = message.takeDescriptor(at: index) {
                        connection.descriptors.append(descriptor.release())
                    }
                }
                connection.bytes += buffer[0..<message.length]
                connection.isDone =
                    message.length == 0 || connection.bytes.count > ContainerProcessState.limit
                    || connection.descriptors.count > UnixSocket.descriptorLimit
            } catch {
                connection.isDone = error.errno != 11 && error.errno != 4
            }
        }
        guard !connection.isDone, let state = ContainerProcessState(connection.bytes) else { return }
        connection.isDone = true
        guard let index = state.listenerIndex, index < connection.descriptors.count else {
            AgentLog.error("the runtime of container \(state.state.id) sent no listener")
            return
        }
        take(state, connection.descriptors.remove(at: index))
    }
}

import EventSpool
import GRPCCore
import RPCServices
import RPCTransport
import Synchronization

/// Takes what agents push, which a relay cannot reach: who may, one stream of a kind each, and what is told of them.
///
/// There is no queue here: a record is in the newest records or counted when the next one is looked at, and an agent that is faster than
/// that is held back by its connection. Who reads too slowly is told how much by the newest records, whoever they are from.
final class PushedRecords: Sendable {
    private struct Pusher {
        var kinds: Set<SpoolKind> = []
        /// Numbers of its records: whoever pushes gives them none that could be trusted.
        var position: AgentBook.Position
    }
    private let names: [String]
    private let collected: Set<SpoolKind>
    private let book: AgentBook
    private let log: FanOutLog
    private let pushers = Mutex<[String: Pusher]>([:])

    /// - Parameters:
    ///   - names: agents that may push, `*` at the end standing for any rest.
    ///   - collecting: kinds that are passed on; others are taken and left out.
    init(names: [String], collecting: Set<SpoolKind>, book: AgentBook, log: FanOutLog) {
        (self.names, collected, self.book, self.log) = (names, collecting, book, log)
    }

    /// Begins a stream of an agent's; `Stream.end` ends it.
    func begin(_ peer: Peer?, _ kind: SpoolKind) throws(RPCError) -> Stream {
        guard let peer, let identity = peer.identity, identity.role == .agent,
            AgentEndpoint(host: "", port: 0, names: names).accepts(identity.name)
        else {
            book.countRejection()
            throw RPCError(code: .permissionDenied, message: "\(peer?.name ?? "nobody") is not expected to push")
        }
        let name = identity.name
        let problem = pushers.withLock { pushers -> String? in
            if pushers[name]?.kinds.contains(kind) == true { return "is pushing records of that kind already" }
            guard book.connect(pushing: name, from: peer.host) else { return "is being read already" }
            let start = AgentBook.Position(spool: SpoolName.text(log.spool), next: SpoolNumbers())
            pushers[name, default: Pusher(position: start)].kinds.insert(kind)
            return nil
        }
        if let problem { throw RPCError(code: .alreadyExists, message: "\(identity) \(problem)") }
        return Stream(owner: self, name: name, kind: kind)
    }

    /// One stream of one agent.
    struct Stream {
        fileprivate let owner: PushedRecords
        fileprivate let name: String
        fileprivate let kind: SpoolKind
        private let agentField: [UInt8]

        fileprivate init(owner: PushedRecords, name: String, kind: SpoolKind) {
            (self.owner, self.name, self.kind) = (owner, name, kind)
            var (field, text): ([UInt8], String) = ([], name)
            text.withUTF8 { ProtobufBytes.field(1012, UnsafeRawBufferPointer($0), to: &field) }
            agentField = field
        }

        /// Takes an encoded `feeder.Alert`, `feeder.Log` or `feeder.Message`. One that a client could not read is counted, and its
        /// number is left out.
        func take(_ record: [UInt8]) { owner.take(record, name, kind, agentField) }

        /// Nothing more will come.
        func end() { owner.leave(name, kind) }
    }

    private func take(_ record: [UInt8], _ name: String, _ kind: SpoolKind, _ agentField: [UInt8]) {
        record.withUnsafeBytes { payload in
            let isSound = RecordCheck.isSound(kind, payload)
            let isWanted = isSound && collected.contains(kind)
            pushers.withLock { pushers in
                guard var position = pushers[name]?.position else { return }
                if isWanted {
                    var rest = agentField
                    ProtobufBytes.field(1013, position.next[kind], to: &rest)
                    log.append(
                        CollectionOfOne(FanOutLog.Arrival(kind: kind, payload: payload, rest: rest)),
                        time: SpoolWriter.realTime())
                }
                position.next[kind] += 1
                pushers[name]?.position = position
                book.note(
                    .pushing(name), name, position, received: isSound ? 1 : 0, missed: 0, repeated: 0,
                    malformed: isSound ? 0 : 1)
            }
        }
    }

    private func leave(_ name: String, _ kind: SpoolKind) {
        pushers.withLock { pushers in
            pushers[name]?.kinds.remove(kind)
            if pushers[name]?.kinds.isEmpty == true { book.setProblem(.pushing(name), "it pushes nothing now") }
        }
    }
}

extension AgentEndpoint {
    /// Stands for an agent that connects by itself. No agent that is connected to has this port.
    static func pushing(_ name: String) -> AgentEndpoint { AgentEndpoint(host: "", port: 0, names: [name]) }

    /// Whether it connects by itself, and cannot be asked.
    var isPushing: Bool { port == 0 }
}

extension Peer {
    /// Where it connects from, without the port, which is another one every time.
    fileprivate var host: String {
        address.lastIndex(of: ":").map { String(address[..<$0]) } ?? address
    }
}

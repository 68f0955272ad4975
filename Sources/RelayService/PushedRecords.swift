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
        /// The higher, the later its last stream ended.
        var departure: UInt64 = 0
    }
    private struct State {
        var pushers: [String: Pusher] = [:]
        var departures: UInt64 = 0
    }
    private let names: [String]
    private let collected: Set<SpoolKind>
    private let book: AgentBook
    private let log: FanOutLog
    private let state = Mutex(State())
    /// Machines come and go under ever new names: of those that push nothing, the ones that left first are forgotten above this.
    private let remembered: Int

    /// - Parameters:
    ///   - names: agents that may push, `*` at the end standing for any rest.
    ///   - collecting: kinds that are passed on; others are taken and left out.
    ///   - remembering: names that are known at the same time, unless more are pushing. One that is forgotten begins anew.
    init(names: [String], collecting: Set<SpoolKind>, book: AgentBook, log: FanOutLog, remembering: Int = 4096) {
        (self.names, collected, self.book, self.log) = (names, collecting, book, log)
        remembered = remembering
    }

    /// Names that are known.
    var count: Int { state.withLock { $0.pushers.count } }

    /// Begins a stream of an agent's; `Stream.end` ends it.
    func begin(_ peer: Peer?, _ kind: SpoolKind) throws(RPCError) -> Stream {
        guard let peer, let identity = peer.identity, identity.role == .agent,
            AgentEndpoint(host: "", port: 0, names: names).accepts(identity.name)
        else {
            book.countRejection()
            throw RPCError(code: .permissionDenied, message: "\(peer?.name ?? "nobody") is not expected to push")
        }
        let name = identity.name
        let problem = state.withLock { state -> String? in
            if state.pushers[name]?.kinds.contains(kind) == true { return "is pushing records of that kind already" }
            guard book.connect(pushing: name, from: peer.host) else { return "is being read already" }
            if state.pushers[name] == nil { forgetOne(&state) }
            let start = AgentBook.Position(spool: SpoolName.text(log.spool), next: SpoolNumbers())
            state.pushers[name, default: Pusher(position: start)].kinds.insert(kind)
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
            state.withLock { state in
                guard var position = state.pushers[name]?.position else { return }
                if isWanted {
                    var rest = agentField
                    ProtobufBytes.field(1013, position.next[kind], to: &rest)
                    log.append(
                        CollectionOfOne(FanOutLog.Arrival(kind: kind, payload: payload, rest: rest)),
                        time: SpoolWriter.realTime())
                }
                position.next[kind] += 1
                state.pushers[name]?.position = position
                book.note(
                    .pushing(name), name, position, received: isSound ? 1 : 0, missed: 0, repeated: 0,
                    malformed: isSound ? 0 : 1)
            }
        }
    }

    private func leave(_ name: String, _ kind: SpoolKind) {
        state.withLock { state in
            state.pushers[name]?.kinds.remove(kind)
            guard state.pushers[name]?.kinds.isEmpty == true else { return }
            state.departures += 1
            state.pushers[name]?.departure = state.departures
            book.setProblem(.pushing(name), "it pushes nothing now")
        }
    }

    /// Makes room for another name.
    private func forgetOne(_ state: inout State) {
        guard state.pushers.count >= remembered else { return }
        let idle = state.pushers.filter(\.value.kinds.isEmpty)
        guard let first = idle.min(by: { $0.value.departure < $1.value.departure }) else { return }
        state.pushers[first.key] = nil
        book.forget(pushing: first.key)
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

import EventSpool
import RPCServices

/// Takes an agent's batches apart: leaves out what came before and what nobody could read, and passes the rest on.
struct AgentIntake {
    private let name: String
    private let agentField: [UInt8]
    /// Where the agent's records go on.
    private(set) var position: AgentBook.Position
    private(set) var received: UInt64 = 0
    private(set) var missed: UInt64 = 0
    private(set) var repeated: UInt64 = 0
    private(set) var malformed: UInt64 = 0
    /// Kinds of which a record of this spool has come or been asked for: before that, gaps mean nothing.
    private var known: Set<SpoolKind> = []
    /// Losses of each kind since the last record that was passed on.
    private var untold = SpoolNumbers(repeating: 0)

    /// - Parameters:
    ///   - position: where it was left; `nil` for an agent that is read for the first time.
    ///   - spool: what the agent calls its spool now.
    init(name: String, position: AgentBook.Position?, spool: String) {
        self.name = name
        if let position, position.spool == spool {
            self.position = position
            known = Set(SpoolKind.allCases)
        } else {
            self.position = AgentBook.Position(spool: spool, next: SpoolNumbers())
        }
        var field: [UInt8] = []
        var text = name
        text.withUTF8 { ProtobufBytes.field(1012, UnsafeRawBufferPointer($0), to: &field) }
        agentField = field
    }

    /// Counts from 0 again.
    mutating func forget() { (received, missed, repeated, malformed) = (0, 0, 0, 0) }

    /// Takes an encoded `portcullis.v1.Batch`.
    mutating func take(_ batch: [UInt8], into log: FanOutLog) {
        batch.withUnsafeBytes { bytes in
            var arrivals: [FanOutLog.Arrival] = []
            ProtobufScan.strings(bytes) { number, value in
                switch number {
                case 1: begin(String(decoding: value, as: UTF8.self))
                case 2: if let arrival = record(value) { arrivals.append(arrival) }
                default: break
                }
            }
            if !arrivals.isEmpty { log.append(arrivals, time: SpoolWriter.realTime()) }
        }
    }

    private mutating func begin(_ spool: String) {
        guard spool != position.spool else { return }
        position = AgentBook.Position(spool: spool, next: SpoolNumbers())
        known = []
    }

    private mutating func record(_ bytes: UnsafeRawBufferPointer) -> FanOutLog.Arrival? {
        var (kind, sequence, before): (SpoolKind?, UInt64, UInt64) = (nil, 0, 0)
        var payload = UnsafeRawBufferPointer(start: nil, count: 0)
        ProtobufScan.fields(bytes) { number, value in
            switch (number, value) {
            case (1, .number(let value)): kind = UInt8(exactly: value).flatMap(SpoolKind.init)
            case (2, .number(let value)): sequence = value
            case (3, .number(let value)): before = value
            case (4, .bytes(let value)): payload = value
            default: break
            }
        }
        guard let kind, sequence > 0, sequence < UInt64.max else {
            malformed += 1
            return nil
        }
        guard sequence >= position.next[kind] else {
            repeated += 1
            return nil
        }
        // Its own word for what it lost, where there is no number of ours to compare with. What was gone before we came is no loss of
        // those who read here.
        let gap = sequence - position.next[kind]
        missed += known.contains(kind) ? gap : before
        if known.contains(kind) { untold[kind] += gap }
        known.insert(kind)
        position.next[kind] = sequence + 1
        // Only a loss was told.
        if payload.isEmpty { return nil }
        guard RecordCheck.isSound(kind, payload) else {
            malformed += 1
            return nil
        }
        received += 1
        var rest = agentField
        ProtobufBytes.field(1013, sequence, to: &rest)
        defer { untold[kind] = 0 }
        return FanOutLog.Arrival(kind: kind, payload: payload, rest: rest, lost: untold[kind])
    }
}

import AuditLog
import GRPCCore
import RPCTransport

/// Puts what servers and listeners report into an audit log.
package struct AuditTrail: Sendable {
    /// The log.
    package let writer: AuditWriter

    /// Writes to a log.
    package init(_ writer: AuditWriter) { self.writer = writer }

    /// A request begins, ends, or is refused.
    package func note(_ record: RequestRecord) {
        var entry = AuditEntry(
            .request, peer: record.peer?.name ?? "", address: record.peer?.address ?? record.address,
            method: record.method, request: record.requestID, object: record.summary)
        switch record.outcome {
        case .begun: break
        case .ended(let code): (entry.kind, entry.object, entry.outcome) = (.outcome, "", code.map { "\($0)" } ?? "ok")
        case .refused(let code, let reason): (entry.kind, entry.outcome) = (.refusal, "\(code): \(reason)")
        }
        writer.write(entry)
    }

    /// A connection is not let in.
    package func note(_ event: RPCListener.Event) {
        guard case .refused(let address, let reason) = event else { return }
        writer.write(AuditEntry(.refusal, address: address, outcome: reason))
    }

    /// We ask somebody else.
    package func note(asking peer: String, _ method: String, _ request: String) {
        writer.write(AuditEntry(.question, peer: peer, method: method, request: request))
    }

    /// Signs what is there, now and then, until cancelled.
    package func keepSigned() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(60))
            writer.sign()
        }
    }
}

import Crypto
import EventSpool
import FoundationEssentials
import RPCTransport
import WireProtocol

// What requests are about, for the audit log. Of policies the names and the digests: the texts are the policies' own business.

extension Feeder_RequestMessage: RequestDescribing {
    package var requestSummary: String {
        "filter \(filter)" + (hasResumeAfter ? " after \(resumeAfter)" : "")
    }
}

extension Portcullis_V1_StreamRequest: RequestDescribing {
    package var requestSummary: String {
        let kinds = kinds.map { SpoolKind($0).map { "\($0)" } ?? "?" }.joined(separator: ",")
        let conditions = filter.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
        let places = resume.map { " after \($0.after)" }.joined()
        return "\(kinds)\(conditions)\(places)" + Summary.agents(agents)
    }
}

extension Portcullis_V1_StatusRequest: RequestDescribing {
    package var requestSummary: String { "status" + Summary.agents(agents) }
}

extension Portcullis_V1_PoliciesRequest: RequestDescribing {
    package var requestSummary: String { "policies" + Summary.agents(agents) }
}

extension Portcullis_V1_ApplyRequest: RequestDescribing {
    package var requestSummary: String {
        let texts = documents.map { " \($0.name) sha256:\(Summary.digest($0.text.utf8))" }.joined()
        return (dryRun ? "try" : "apply") + texts + Summary.agents(agents)
    }
}

extension Portcullis_V1_DeleteRequest: RequestDescribing {
    package var requestSummary: String { "delete \(kind) \(namespace)/\(name)" + Summary.agents(agents) }
}

extension Portcullis_V1_HistoryRequest: RequestDescribing {
    package var requestSummary: String {
        let conditions = [
            ("agent", agent), ("policy", policy), ("namespace", namespace), ("workload", workload),
            ("operation", operation), ("action", action),
        ]
        return "history" + conditions.filter { !$0.1.isEmpty }.map { " \($0.0)=\($0.1)" }.joined()
    }
}

extension Portcullis_V1_CountRequest: RequestDescribing {
    package var requestSummary: String { "counts of \(filter.requestSummary)" }
}

extension Policy_policy: RequestDescribing {
    package var requestSummary: String { "event sha256:\(Summary.digest(policy))" }
}

private enum Summary {
    static func agents(_ names: [String]) -> String {
        names.isEmpty ? "" : " of " + names.prefix(20).joined(separator: ",")
    }

    static func digest(_ bytes: some Sequence<UInt8>) -> String {
        SHA256.hash(data: Array(bytes)).map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }.joined()
    }
}

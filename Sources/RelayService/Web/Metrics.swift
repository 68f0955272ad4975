import RPCTransport

/// What a relay counts, in Prometheus' text format.
struct Metrics: Sendable {
    let book: AgentBook
    let log: FanOutLog
    let writer: HistoryWriter
    let limits: RequestLimits
    let admission: WebAdmission
    let credentials: TLSCredentials

    /// All of it, now.
    var text: String {
        var lines: [String] = []
        func add(_ name: String, _ kind: String, _ help: String, _ samples: [(labels: String, value: String)]) {
            lines.append("# HELP portcullis_relay_\(name) \(help)")
            lines.append("# TYPE portcullis_relay_\(name) \(kind)")
            lines += samples.map { "portcullis_relay_\(name)\($0.labels) \($0.value)" }
        }
        func counter(_ name: String, _ help: String, _ value: UInt64) { add(name, "counter", help, [("", "\(value)")]) }
        func gauge(_ name: String, _ help: String, _ value: Int) { add(name, "gauge", help, [("", "\(value)")]) }

        let agents = book.all
        gauge("agents", "Agents that are known.", agents.count)
        gauge("agents_connected", "Agents that are being read.", agents.count { $0.isConnected })
        func each(_ name: String, _ kind: String, _ help: String, _ value: (AgentBook.Entry) -> UInt64) {
            add(
                name, kind, help,
                agents.map { agent in
                    (
                        "{agent=\"\(Self.escaped(agent.name))\",address=\"\(Self.escaped(agent.address))\"}",
                        "\(value(agent))"
                    )
                })
        }
        each("agent_up", "gauge", "1 while the agent is being read.") { $0.isConnected ? 1 : 0 }
        each("agent_received_total", "counter", "Records that came.") { $0.received }
        each("agent_missed_total", "counter", "Records that were gone before they came.") { $0.missed }
        each("agent_repeated_total", "counter", "Records that came twice, and were left out.") { $0.repeated }
        each("agent_malformed_total", "counter", "Records that no client could have read.") { $0.malformed }
        counter("peer_rejected_total", "Peers at an agent's place that were not that agent.", book.rejected)
        counter("records_total", "Records that were passed on.", log.appended)
        gauge("memory_bytes", "Memory that holds the newest records.", log.bytes)
        let (written, missed, failures) = writer.counts
        counter("history_written_total", "Records in the history.", written)
        counter("history_missed_total", "Records that agents had lost, or that the history was too slow for.", missed)
        counter("history_failures_total", "Transactions of the history that failed.", failures)
        gauge("requests", "Requests over gRPC that run now.", limits.running)
        counter("requests_refused_total", "Requests over gRPC that were one too many.", limits.refused)
        gauge("web_connections", "Connections of browsers.", admission.connections)
        gauge(
            "certificate_not_after_seconds", "When the relay's certificate ends, Unix seconds.",
            Int(credentials.notAfter.timeIntervalSince1970))
        return lines.joined(separator: "\n") + "\n"
    }

    private static func escaped(_ text: String) -> String {
        text.reduce(into: "") { result, character in
            switch character {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.append(character)
            }
        }
    }
}

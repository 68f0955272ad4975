import ClientSupport
import ControlProtocol
import Foundation
import GRPCCore
import Synchronization
import Telemetry
import WireProtocol

/// `portcullis logs` over gRPC.
struct RemoteLogs: Sendable {
    var stream: RecordStream
    var limit: Int?
    var isJSON: Bool
    let style = TextStyle.standardOutput

    private struct Progress {
        var count = 0
        var place = RecordStream.Place()
    }

    func run(_ remote: RemoteOptions, _ place: ServerPlace) throws {
        let progress = Mutex(Progress())
        do {
            try remote.withSession(place) { client in
                try await stream.follow(client) { item, place in
                    try show(item)
                    return progress.withLock { progress in
                        progress.place = place
                        if case .missed = item { return true }
                        progress.count += 1
                        return progress.count != limit
                    }
                }
            }
        } catch let failure as ToolFailure {
            throw Self.withPlace(failure, progress.withLock { $0.place })
        }
        guard progress.withLock({ $0.count }) != limit || limit == nil else { return }
        throw Self.withPlace(
            ToolFailure("\(place.text): the stream has ended", code: .agentNotReachable), progress.withLock { $0.place }
        )
    }

    private func show(_ item: RecordStream.Item) throws(ToolFailure) {
        switch item {
        case .missed(let count):
            StandardStreams.writeError("\(count) records were lost: this reader was too slow, or away too long")
        case .alert(let alert, let agent), .log(let alert, let agent):
            let json = String(decoding: AlertEncoder(.camelCase).encode(alert), as: UTF8.self)
            if isJSON { return try StandardStreams.write(SafeText.json(json)) }
            var lines = AlertReport(json: json, style: style).lines
            if alert.kind == .log, let first = lines.first {
                lines[0] = first.replacingFirst("== Alert /", with: "== Log /")
            }
            if !agent.isEmpty { lines.append("Agent: \(SafeText.line(agent))") }
            try StandardStreams.write(lines)
        case .message(let message):
            if isJSON { return try StandardStreams.write(SafeText.json((try? message.jsonString()) ?? "{}")) }
            let text = [
                message.updatedTime, message.clusterName, message.hostName, "[\(message.level)]", message.message,
            ]
            try StandardStreams.write(text.map(SafeText.line).joined(separator: "  "))
        }
    }

    /// Says how to go on.
    private static func withPlace(_ failure: ToolFailure, _ place: RecordStream.Place) -> ToolFailure {
        guard let sequence = place.sequences[.alert] ?? place.sequences[.log] else { return failure }
        var failure = failure
        failure.messages.append("go on with --resume-from \(sequence) --spool \(place.spool)")
        return failure
    }
}

extension String {
    /// The text with the first occurrence of a part replaced.
    fileprivate func replacingFirst(_ part: String, with other: String) -> String {
        guard let range = self.range(of: part) else { return self }
        return self[..<range.lowerBound] + other + self[range.upperBound...]
    }
}

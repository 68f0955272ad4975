import ClientSupport
import Foundation
import Logging

/// Lines on standard error, in the form of the agent's: time, level, text. Nothing that a peer chose reaches it as more than text.
struct RelayLogHandler: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .info
    private let label: String

    init(label: String) { self.label = label }

    subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let fields = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }.map {
            "\($0.key)=\($0.value)"
        }
        let text = ([event.message.description] + fields).joined(separator: " ")
        let level = event.level == .warning ? "WARN" : event.level.rawValue.uppercased()
        let line = "\(Date().formatted(.iso8601))\t\(level)\t\(SafeText.line(String(text.prefix(2000))))\n"
        FileHandle.standardError.write(Data(line.utf8))
    }
}

import ClientSupport
import ControlProtocol
import PlainJSON

/// The few messages that a launch exchanges with the agent, as the JSON that `ControlCoding` makes and reads. By hand, because
/// the launcher is to do without Foundation; `LaunchMessagesTests` holds the two against each other.
enum LaunchMessages {
    /// The line of `ControlRequest.filters`.
    static func filters(_ documents: [PolicyDocument]) -> [UInt8] {
        line("{\"filters\":{\"documents\":\(text(documents))}}")
    }

    /// The line of `ControlRequest.supervise`.
    static func supervise(process: Int32, listener: Int32, _ documents: [PolicyDocument]) -> [UInt8] {
        line(
            "{\"supervise\":{\"documents\":\(text(documents)),\"listener\":\(listener),\"process\":\(process)}}")
    }

    /// Reads the answer to `filters`; `nil` for anything else than it or a refusal, which is thrown.
    static func filters(_ answer: [UInt8]) throws(ToolFailure) -> TreeFilters? {
        guard let message = try accepted(answer)?["filters"]?["_0"],
            let guardProgram = message["guardProgram"]?.bytes, let treeProgram = message["treeProgram"]?.bytes,
            let dropped = message["droppedCapabilities"]?.number.flatMap({ UInt64($0) }),
            let performed = message["changesArePerformed"]?.truth, let gaps = message["gaps"]?.texts
        else { return nil }
        return TreeFilters(
            guardProgram: guardProgram, treeProgram: treeProgram, droppedCapabilities: dropped,
            changesArePerformed: performed, gaps: gaps)
    }

    /// Reads the answer to `supervise` in the same way.
    static func acceptance(_ answer: [UInt8]) throws(ToolFailure) -> Bool? {
        try accepted(answer)?["done"].map { _ in true }
    }

    private static func accepted(_ answer: [UInt8]) throws(ToolFailure) -> JSONText? {
        guard let message = JSONText(parsing: answer) else { return nil }
        if let messages = message["failed"]?["messages"]?.texts { throw ToolFailure(messages) }
        if let reason = message["notPermitted"]?["message"]?.text {
            throw ToolFailure(reason, code: .notPermitted)
        }
        return message
    }

    private static func text(_ documents: [PolicyDocument]) -> String {
        let items = documents.map { "{\"name\":\(JSONText.quoted($0.name)),\"text\":\(JSONText.quoted($0.text))}" }
        return "[\(items.joined(separator: ","))]"
    }

    private static func line(_ text: String) -> [UInt8] { Array(text.utf8) + [UInt8(ascii: "\n")] }
}

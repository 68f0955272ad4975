import ClientSupport
import ControlProtocol

/// What `apply`, `delete` and `unlock` print: a line for each thing done, or one object.
struct ChangeReport: Encodable, Equatable {
    /// In the order in which it was done.
    var messages: [String]

    /// Takes an agent's answer.
    ///
    /// - Throws: when it is the answer to another question.
    mutating func add(_ response: ControlResponse) throws(ToolFailure) {
        guard case .done(let messages) = response else { throw .unexpectedAnswer }
        self.messages += messages
    }

    func write(_ output: OutputOptions) throws {
        if output.json { return try StandardStreams.write(json: self) }
        try StandardStreams.write(messages.map(SafeText.line))
    }
}

extension ToolFailure {
    /// The agent answered another question.
    static let unexpectedAnswer = ToolFailure("the agent's answer is of an unexpected kind")
}

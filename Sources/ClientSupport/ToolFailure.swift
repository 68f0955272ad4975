import ControlProtocol

/// Why a verb ends without having done what was asked: one line a message, for standard error.
package struct ToolFailure: Error, Equatable {
    /// Without the leading `portcullis: `.
    package var messages: [String]
    /// What the tool ends with.
    package var code: ToolExitCode

    package init(_ message: String, code: ToolExitCode = .failure) {
        self.init([message], code: code)
    }

    package init(_ messages: [String], code: ToolExitCode = .failure) {
        self.messages = messages
        self.code = code
    }

    /// Nobody answers on the agent's socket.
    package static func noAgent(_ socket: String) -> ToolFailure {
        ToolFailure("no agent answers on \(socket) (is portcullisd running?)", code: .agentNotReachable)
    }

    /// A file of this name cannot be used because of `errno`.
    package static func file(_ path: String, _ code: Int32) -> ToolFailure {
        ToolFailure("\(path): \(systemMessage(code))")
    }
}

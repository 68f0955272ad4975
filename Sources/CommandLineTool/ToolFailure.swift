import ControlProtocol

/// Why a verb ends without having done what was asked: one line a message, for standard error.
struct ToolFailure: Error, Equatable {
    /// Without the leading `portcullis: `.
    var messages: [String]
    /// What the tool ends with.
    var code: ToolExitCode

    init(_ message: String, code: ToolExitCode = .failure) {
        self.init([message], code: code)
    }

    init(_ messages: [String], code: ToolExitCode = .failure) {
        self.messages = messages
        self.code = code
    }

    /// Nobody answers on the agent's socket.
    static func noAgent(_ socket: String) -> ToolFailure {
        ToolFailure("no agent answers on \(socket) (is portcullisd running?)", code: .agentNotReachable)
    }

    /// A file of this name cannot be used because of `errno`.
    static func file(_ path: String, _ code: Int32) -> ToolFailure { ToolFailure("\(path): \(systemMessage(code))") }
}

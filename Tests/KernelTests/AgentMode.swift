import Testing

/// What an agent decides with.
enum AgentMode: CaseIterable, CustomTestStringConvertible {
    /// fanotify's events and trees' system calls.
    case events
    /// System calls alone.
    case callsOnly

    var options: [String] { self == .callsOnly ? ["--calls-only"] : [] }

    /// What a program says that was denied an open or an execution.
    var refusal: String { self == .callsOnly ? "Permission denied" : "Operation not permitted" }

    var testDescription: String { self == .callsOnly ? "calls only" : "events and calls" }
}

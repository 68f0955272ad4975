/// What a runtime's hook tells the agent, and what the agent answers.
///
/// `portcullis-hook 1 STAGE STATE CONFIG FILES`, a newline, then as many bytes of the container's state and of its configuration as the two
/// numbers say, as the runtime gave them. FILES are names of the descriptors that come along, in order, with commas between; `-` for none.
public struct HookMessage: Sendable, Equatable {
    /// When the runtime runs the hook (OCI runtime specification; `precreate` is podman's).
    public enum Stage: String, Sendable, CaseIterable {
        /// The namespaces are there and everything is mounted; the container's program does not run yet.
        case createRuntime
        /// It runs, and no hook has told of it.
        case running
        /// The container was deleted.
        case poststop
        /// The container is being defined: its configuration may still be changed.
        case precreate
    }

    /// What a descriptor is.
    public enum File: String, Sendable, CaseIterable {
        /// podman's list of containers (containers.json).
        case containers
        /// podman's log of events.
        case events
        /// Docker's description of the container (config.v2.json).
        case docker
    }

    /// When.
    public var stage: Stage
    /// The container's state, as the hook got it; empty for `precreate`.
    public var state: [UInt8]
    /// The container's configuration (config.json); empty when there is none.
    public var configuration: [UInt8]
    /// What the descriptors are that come along.
    public var files: [File]

    /// Bytes of state or configuration at most.
    public static let limit = 4 << 20
    /// Begins every message.
    public static let mark = Array("portcullis-hook ".utf8)
    private static let version = "1"
    private static let headerLimit = 256

    /// Makes a message.
    public init(stage: Stage, state: [UInt8], configuration: [UInt8], files: [File] = []) {
        (self.stage, self.state, self.configuration, self.files) = (stage, state, configuration, files)
    }

    /// As it is sent.
    public var bytes: [UInt8] {
        let names = files.isEmpty ? "-" : files.map(\.rawValue).joined(separator: ",")
        let header = "\(Self.version) \(stage.rawValue) \(state.count) \(configuration.count) \(names)\n"
        return Self.mark + Array(header.utf8) + state + configuration
    }

    /// What reading came to.
    public enum Reading: Sendable, Equatable {
        /// More has to come.
        case incomplete
        /// A message, and nothing behind it.
        case message(HookMessage)
        /// No message, as one line.
        case invalid(String)
    }

    /// Reads what has come so far.
    public static func read(_ bytes: [UInt8]) -> Reading {
        guard bytes.starts(with: mark.prefix(bytes.count)) else { return .invalid("not a message of a hook") }
        guard let end = bytes.prefix(headerLimit).firstIndex(of: UInt8(ascii: "\n")) else {
            return bytes.count < headerLimit ? .incomplete : .invalid("no header")
        }
        let words = String(decoding: bytes[mark.count..<end], as: UTF8.self).split(separator: " ").map(String.init)
        guard words.count == 5, words[0] == version else { return .invalid("not a message of this version") }
        guard let stage = Stage(rawValue: words[1]), let state = Int(words[2]), let configuration = Int(words[3]),
            (0...limit).contains(state), (0...limit).contains(configuration)
        else { return .invalid("a header that says nothing") }
        let names = words[4] == "-" ? [] : words[4].split(separator: ",").map { File(rawValue: String($0)) }
        let files = names.compactMap { $0 }
        guard files.count == names.count else { return .invalid("an unknown file") }
        let first = end + 1
        let total = first + state + configuration
        if bytes.count < total { return .incomplete }
        guard bytes.count == total else { return .invalid("more than was announced") }
        return .message(
            HookMessage(
                stage: stage, state: Array(bytes[first..<(first + state)]),
                configuration: Array(bytes[(first + state)...]), files: files))
    }
}

/// The agent's answer: one line, and for `precreate` the configuration behind it.
public enum HookAnswer: Sendable, Equatable {
    /// The container may start.
    case allow
    /// It may not; why, as one line.
    case deny(String)
    /// It is to start with this configuration.
    case configuration([UInt8])

    /// As it is sent.
    public var bytes: [UInt8] {
        switch self {
        case .allow: Array("allow\n".utf8)
        case .deny(let reason): Array("deny \(reason.split(whereSeparator: \.isNewline).joined(separator: " "))\n".utf8)
        case .configuration(let bytes): Array("configuration \(bytes.count)\n".utf8) + bytes
        }
    }

    /// Reads what has come so far; `nil` when more has to come.
    ///
    /// - Throws: when it is no answer.
    public static func read(_ bytes: [UInt8]) throws(HookFailure) -> HookAnswer? {
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else {
            guard bytes.count <= HookMessage.limit else { throw HookFailure("the agent's answer has no end") }
            return nil
        }
        let line = String(decoding: bytes[..<end], as: UTF8.self)
        if line == "allow" { return .allow }
        if line.hasPrefix("deny ") { return .deny(String(line.dropFirst(5))) }
        guard line.hasPrefix("configuration "), let count = Int(line.dropFirst(14)), count > 0,
            count <= 2 * HookMessage.limit
        else { throw HookFailure("the agent's answer is not one of this version") }
        let rest = bytes[(end + 1)...]
        return rest.count < count ? nil : .configuration(Array(rest.prefix(count)))
    }
}

/// Why a hook could not do its work, as one line.
public struct HookFailure: Error, CustomStringConvertible {
    /// The line.
    public let description: String

    init(_ description: String) { self.description = description }
}

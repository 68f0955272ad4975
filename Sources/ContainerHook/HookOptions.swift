import ControlProtocol
import Glibc
import LinuxKernel

/// The command line of `portcullis-hook`.
struct HookOptions: Equatable {
    var stage: HookMessage.Stage
    /// The agent's socket for runtimes.
    var socket: String
    /// Seconds until it is done without an answer.
    var seconds: UInt32 = 10
    /// Without an answer the container starts.
    var allowsOnTimeout = false
    /// Where runtimes keep what runs; empty for where they usually do.
    var places: [String] = []
    /// It goes on looking for what runs.
    var goesOn = false

    static let usage =
        "usage: portcullis-hook createRuntime|poststop|precreate|running [--socket PATH] [--timeout SECONDS] [--on-timeout deny|allow] [--states DIRECTORY] [--watch yes|no], or portcullis-hook runtime [OPTION…] -- RUNTIME [ARGUMENT…]"

    init(_ arguments: [String]) throws(HookFailure) {
        var rest = arguments[...]
        guard let stage = rest.popFirst().flatMap(HookMessage.Stage.init(rawValue:)) else {
            throw HookFailure(Self.usage)
        }
        self.stage = stage
        socket = Self.ownSocket
        while let name = rest.popFirst() {
            guard let value = rest.popFirst() else { throw HookFailure("\(name) needs a value; \(Self.usage)") }
            switch (name, value) {
            case ("--socket", _): socket = value
            case ("--timeout", _):
                guard let seconds = UInt32(value), (1...600).contains(seconds) else {
                    throw HookFailure("--timeout must be between 1 and 600 seconds, not '\(value)'")
                }
                self.seconds = seconds
            case ("--states", _): places.append(value)
            case ("--watch", "yes"): goesOn = true
            case ("--watch", "no"): goesOn = false
            case ("--watch", _): throw HookFailure("--watch must be yes or no, not '\(value)'")
            case ("--on-timeout", "deny"): allowsOnTimeout = false
            case ("--on-timeout", "allow"): allowsOnTimeout = true
            case ("--on-timeout", _): throw HookFailure("--on-timeout must be deny or allow, not '\(value)'")
            default: throw HookFailure("unknown option '\(name)'; \(Self.usage)")
            }
        }
    }

    /// The socket of the agent whose container this is: of the host's agent, or of the user's who owns the user namespace that the runtime
    /// runs in. There it is root to itself.
    private static var ownSocket: String {
        let user = outsideUser
        return DefaultPaths.runtimeSocket(of: user)
    }

    /// Our user id outside of our user namespace.
    private static var outsideUser: UInt32 {
        let own = geteuid()
        guard let text = try? PathOpening.read("/proc/self/uid_map", limit: 65536) else { return own }
        return IDMap.outside(own, String(decoding: text, as: UTF8.self)) ?? own
    }
}

/// A map of user ids (user_namespaces(7)).
enum IDMap {
    /// What an id inside is outside; `nil` when it is not mapped.
    static func outside(_ id: UInt32, _ map: String) -> UInt32? {
        for line in map.split(separator: "\n") {
            let words = line.split(separator: " ").compactMap { UInt32($0) }
            guard words.count == 3, id >= words[0], id - words[0] < words[2] else { continue }
            return words[1] &+ (id - words[0])
        }
        return nil
    }
}

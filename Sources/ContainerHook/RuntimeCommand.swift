/// The command line of a container runtime, as far as it says which container is made.
struct RuntimeCommand: Equatable {
    /// The configuration of the container that it makes; `nil` when it makes none. A relative path is one of the current directory's.
    let configuration: String?

    /// Options before the command that have a value: runc's and crun's.
    private static let valued: Set<Substring> = [
        "root", "log", "log-format", "criu", "rootless", "cgroup-manager",
    ]
    /// Commands that read a configuration.
    private static let makers: Set<String> = ["create", "run", "restore"]

    /// - Parameter arguments: without the runtime's own name.
    init(_ arguments: [String]) {
        var rest = arguments[...]
        var command: String?
        while let word = rest.popFirst() {
            guard word.hasPrefix("-") else {
                command = word
                break
            }
            // Go takes one dash for two.
            if Self.valued.contains(word.drop { $0 == "-" }) { _ = rest.popFirst() }
        }
        guard let command, Self.makers.contains(command) else {
            configuration = nil
            return
        }
        let words = Array(rest)
        let bundle = Self.value(of: ["--bundle", "-bundle", "-b"], in: words) ?? "."
        configuration = Self.value(of: ["--config", "-f"], in: words) ?? bundle + "/config.json"
    }

    /// The value of an option, behind it or behind its `=`; the last one counts.
    private static func value(of names: [String], in words: [String]) -> String? {
        var found: String?
        for (place, word) in words.enumerated() {
            for name in names {
                if word == name, place + 1 < words.count { found = words[place + 1] }
                if word.hasPrefix(name + "=") { found = String(word.dropFirst(name.count + 1)) }
            }
        }
        return found
    }
}

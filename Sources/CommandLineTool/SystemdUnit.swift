/// The parts of a systemd unit that starting it in a supervised tree depends on (systemd.unit(5), systemd.service(5)).
struct SystemdUnit: Equatable {
    /// A setting of the `[Service]` section: an empty value takes back what was before.
    struct Setting: Equatable {
        var name: String
        var value: String
    }

    private(set) var settings: [Setting] = []

    /// Reads a unit file, or a drop-in, on top of what was read before.
    mutating func read(_ text: String) {
        var section = ""
        var pending = ""
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            let bare = Self.trimmed(line)
            // A comment does not end a line that is continued.
            if bare.hasPrefix("#") || bare.hasPrefix(";") { continue }
            if line.hasSuffix("\\") {
                pending += line.dropLast() + " "
                continue
            }
            let whole = pending + line
            pending = ""
            let entry = Self.trimmed(whole)
            if entry.hasPrefix("["), entry.hasSuffix("]") {
                section = String(entry)
            } else if section == "[Service]", let equals = entry.firstIndex(of: "=") {
                settings.append(
                    Setting(
                        name: String(Self.trimmed(entry[..<equals])),
                        value: String(Self.trimmed(entry[entry.index(after: equals)...]))))
            }
        }
    }

    /// The values of a setting that may be given several times; an empty one takes back those before.
    func values(_ name: String) -> [String] {
        var result: [String] = []
        for setting in settings where setting.name == name {
            if setting.value.isEmpty { result = [] } else { result.append(setting.value) }
        }
        return result
    }

    /// The last value of a setting; `nil` for none.
    func value(_ name: String) -> String? { values(name).last }

    /// A command line that starts another one's program in a supervised tree.
    ///
    /// - Parameters:
    ///   - command: a value of ExecStart=.
    ///   - launcher: what comes before it, as words of systemd.service(5).
    /// - Returns: `nil` when the command names argv[0] (`@`), which the launcher could not keep.
    static func supervised(_ command: String, launcher: String) -> String? {
        // Prefixes that say how it is executed, not what.
        let prefix = command.prefix { "-:+!|@".contains($0) }
        guard !prefix.contains("@") else { return nil }
        return prefix + launcher + " -- " + trimmed(command.dropFirst(prefix.count))
    }

    private static func trimmed(_ text: some StringProtocol) -> Substring {
        var rest = Substring(text)
        while let first = rest.first, first == " " || first == "\t" || first == "\r" { rest.removeFirst() }
        while let last = rest.last, last == " " || last == "\t" || last == "\r" { rest.removeLast() }
        return rest
    }
}

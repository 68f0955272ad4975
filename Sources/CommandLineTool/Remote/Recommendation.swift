/// The policy that permits what a workload was seen to do, and nothing else.
struct Recommendation {
    /// As many files of one directory become a rule on the directory.
    private static let directoryThreshold = 6
    /// Programs that a rule names as its sources; more than that are anybody.
    private static let sourceLimit = 8

    private let behaviour: Behaviour
    private let workload: Behaviour.Workload
    private let name: String
    private let isForNode: Bool

    init(_ behaviour: Behaviour, _ workload: Behaviour.Workload, name: String, isForNode: Bool) {
        (self.behaviour, self.workload, self.name, self.isForNode) = (behaviour, workload, name, isForNode)
    }

    private struct Use {
        var sources: Set<String> = []
        var isReadOnly = true
    }

    /// The policy as YAML.
    var text: String {
        let actions = behaviour.workloads[workload] ?? [:]
        var (programs, files, sockets): ([String: Use], [String: Use], [String: Use]) = ([:], [:], [:])
        for (action, tally) in actions where tally.denied < tally.count {
            switch action.operation {
            case "Process":
                programs[action.object, default: Use()].sources.insert(action.process)
                // Who executes a program reads it; with which image, the record does not say.
                files[action.object, default: Use()].sources.insert("")
            case "File":
                files[action.object, default: Use()].sources.insert(action.process)
                if !tally.isReadOnly { files[action.object]?.isReadOnly = false }
            case "Network":
                for name in Self.protocols(action.object) {
                    sockets[name, default: Use()].sources.insert(action.process)
                }
            default: break
            }
        }
        // The first program is started by somebody who is not part of the workload, and next time may be somebody else.
        for (path, use) in programs where !use.sources.isSubset(of: programs.keys) { programs[path]?.sources = [] }
        // Numbers of processes are not the same twice.
        var patterns: [String: Use] = [:]
        for (path, use) in files {
            guard let pattern = Self.processPattern(path) else { continue }
            files[path] = nil
            patterns[pattern, default: Use()].isReadOnly = (patterns[pattern]?.isReadOnly ?? true) && use.isReadOnly
        }
        var lines = head
        lines += section("process", programs, isFile: false)
        lines += fileSection(files, patterns)
        lines += networkSection(sockets)
        lines.append("  action: Allow")
        return lines.joined(separator: "\n") + "\n"
    }

    private var head: [String] {
        var lines = ["apiVersion: security.kubearmor.com/v1"]
        if workload.container.isEmpty, isForNode {
            lines += ["kind: KubeArmorHostPolicy", "metadata:", "  name: \(name)", "spec:", "  nodeSelector:"]
            lines += ["    matchLabels:", "      kubearmor.io/hostname: \"*\""]
        } else {
            lines += ["kind: KubeArmorPolicy", "metadata:", "  name: \(name)"]
            if !workload.namespace.isEmpty, workload.namespace != "container_namespace" {
                lines.append("  namespace: \(Self.quoted(workload.namespace))")
            }
            lines += ["spec:", "  selector:", "    matchLabels:"]
            lines += labels.map { "      \(Self.quoted($0.key)): \(Self.quoted($0.value))" }
        }
        return lines + ["  severity: 5", "  message: not seen while the policy was made"]
    }

    private var labels: [(key: String, value: String)] {
        let pairs = (behaviour.labels[workload] ?? "").split(separator: ",").compactMap { pair -> (String, String)? in
            guard let equals = pair.firstIndex(of: "="), equals > pair.startIndex else { return nil }
            return (String(pair[..<equals]), String(pair[pair.index(after: equals)...]))
        }
        if !pairs.isEmpty { return pairs }
        // Of a tree nobody looks at the selector; a container without labels is known by its name.
        return [("kubearmor.io/container.name", workload.container.isEmpty ? name : "[\(workload.container)]")]
    }

    private func section(_ title: String, _ uses: [String: Use], isFile: Bool) -> [String] {
        guard !uses.isEmpty else { return [] }
        var lines = ["  \(title):", "    matchPaths:"]
        for (path, use) in uses.sorted(by: { $0.key < $1.key }) {
            lines += rule("path: \(Self.quoted(path))", use, isFile: isFile)
        }
        return lines
    }

    private func fileSection(_ uses: [String: Use], _ patterns: [String: Use]) -> [String] {
        guard !uses.isEmpty || !patterns.isEmpty else { return [] }
        var (single, directories): ([String: Use], [String: Use]) = ([:], [:])
        let groups = Dictionary(grouping: uses, by: { Self.directory(of: $0.key) })
        for (directory, members) in groups {
            // Never a directory of which anything was written: what was not seen there is not to be written either.
            let isCommon =
                members.count >= Self.directoryThreshold && members.allSatisfy { $0.value.isReadOnly }
                && directory != "/"
            for (path, use) in members {
                if isCommon {
                    directories[directory, default: Use()].sources.formUnion(use.sources)
                } else {
                    single[path] = use
                }
            }
        }
        var lines = ["  file:"]
        if !single.isEmpty { lines.append("    matchPaths:") }
        for (path, use) in single.sorted(by: { $0.key < $1.key }) {
            // A directory that was listed ends in a slash, which a path must not.
            let isDirectory = path.count > 1 && path.hasSuffix("/")
            lines += rule("path: \(Self.quoted(isDirectory ? String(path.dropLast()) : path))", use, isFile: true)
        }
        if !directories.isEmpty { lines.append("    matchDirectories:") }
        for (path, use) in directories.sorted(by: { $0.key < $1.key }) {
            lines += rule("dir: \(Self.quoted(path))", use, isFile: true)
        }
        if !patterns.isEmpty { lines.append("    matchPatterns:") }
        for (pattern, use) in patterns.sorted(by: { $0.key < $1.key }) {
            lines += rule("pattern: \(Self.quoted(pattern))", use, isFile: true)
        }
        return lines
    }

    /// `/proc/1234/mounts` → `/proc/[0-9]*/mounts`; `nil` for a path without a process' number.
    private static func processPattern(_ path: String) -> String? {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count > 2, parts[1] == "proc", isNumber(parts[2]) else { return nil }
        return parts.map { isNumber($0) ? "[0-9]*" : escaped($0) }.joined(separator: "/")
    }

    private static func isNumber(_ text: Substring) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
    }

    /// Characters that mean something in a pattern stand for themselves.
    private static func escaped(_ text: Substring) -> String {
        text.reduce(into: "") { result, character in
            if "*?[]{}\\,".contains(character) { result += "\\" }
            result.append(character)
        }
    }

    /// What is permitted, or, where nothing was seen, that nothing is.
    private func networkSection(_ uses: [String: Use]) -> [String] {
        var lines = ["  network:", "    matchProtocols:"]
        for (name, use) in uses.sorted(by: { $0.key < $1.key }) {
            lines += rule("protocol: \(name)", use, isFile: false)
        }
        if uses.isEmpty {
            for name in ["tcp", "udp", "icmp", "raw"] {
                lines += ["      - protocol: \(name)", "        action: Block"]
            }
        }
        return lines
    }

    private func rule(_ subject: String, _ use: Use, isFile: Bool) -> [String] {
        var lines = ["      - \(subject)"]
        if isFile, use.isReadOnly { lines.append("        readOnly: true") }
        let sources = use.sources.filter { $0.hasPrefix("/") }
        if !sources.isEmpty, sources.count == use.sources.count, sources.count <= Self.sourceLimit {
            lines.append("        fromSource:")
            lines += sources.sorted().map { "          - path: \(Self.quoted($0))" }
        }
        return lines
    }

    /// `/a/b/c` → `/a/b/`.
    private static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "/" }
        return String(path[...slash])
    }

    /// The policy language's words for a socket as telemetry shows it.
    private static func protocols(_ resource: String) -> [String] {
        var fields: [Substring: Substring] = [:]
        for word in resource.split(separator: " ") {
            let parts = word.split(separator: "=", maxSplits: 1)
            if parts.count == 2 { fields[parts[0]] = parts[1] }
        }
        guard ["AF_INET", "AF_INET6"].contains(fields["domain"] ?? "AF_INET") else { return [] }
        if fields["type"]?.hasPrefix("SOCK_RAW") == true { return ["raw"] }
        switch fields["protocol"] ?? "" {
        case "TCP": return ["tcp"]
        case "UDP": return ["udp"]
        case "ICMP": return ["icmp"]
        case "IPv6-ICMP": return ["icmpv6"]
        case "SCTP": return ["sctp"]
        default: break
        }
        let type = fields["type"] ?? ""
        return type.hasPrefix("SOCK_STREAM") ? ["tcp"] : type.hasPrefix("SOCK_DGRAM") ? ["udp"] : []
    }

    /// A YAML double-quoted scalar.
    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case _ where scalar.value < 0x20 || scalar.value == 0x7f:
                let digits = String(scalar.value, radix: 16)
                result += "\\x" + (digits.count == 1 ? "0" : "") + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

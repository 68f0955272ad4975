import PolicyModel

/// Reads the sections of container, host and cluster policies.
struct RuleDecoder {
    let sink: DiagnosticSink
    let kind: PolicyKind

    private static let common = ["severity", "tags", "message", "action"]

    // MARK: - Process

    func process(_ section: FieldReader, _ inherited: RuleAttributes) -> [ProcessRule] {
        section.finish(["matchPaths", "matchDirectories", "matchPatterns"] + Self.common)
        let inherited = ActionDecoder.attributes(of: section, inherited: inherited)
        var rules: [ProcessRule] = []
        forEach(section, "matchPaths", ["path", "execname", "allowedArgs", "ownerOnly", "pts", "fromSource"]) { item in
            guard let subject = programSubject(item) else { return }
            var rule = ProcessRule(
                subject: subject, attributes: ActionDecoder.attributes(of: item, inherited: inherited),
                position: item.position)
            rule.allowedArguments = item.strings("allowedArgs", limit: 20)
            if rule.allowedArguments.contains(where: { $0.utf8.contains(0) }) {
                sink.error(
                    item.position(of: "allowedArgs"), "\(item.name(of: "allowedArgs")) must not contain a NUL byte")
            }
            rule.ownerOnly = item.boolean("ownerOnly") ?? false
            rule.terminal = item.boolean("pts")
            rule.sources = sources(item)
            rules.append(rule)
        }
        forEach(section, "matchDirectories", ["dir", "recursive", "ownerOnly", "pts", "fromSource"]) { item in
            guard let subject = directorySubject(item) else { return }
            var rule = ProcessRule(
                subject: subject, attributes: ActionDecoder.attributes(of: item, inherited: inherited),
                position: item.position)
            rule.ownerOnly = item.boolean("ownerOnly") ?? false
            rule.terminal = item.boolean("pts")
            rule.sources = sources(item)
            rules.append(rule)
        }
        forEach(section, "matchPatterns", ["pattern", "ownerOnly"]) { item in
            guard let subject = patternSubject(item) else { return }
            var rule = ProcessRule(
                subject: subject, attributes: ActionDecoder.attributes(of: item, inherited: inherited),
                position: item.position)
            rule.ownerOnly = item.boolean("ownerOnly") ?? false
            rules.append(rule)
        }
        return rules
    }

    // MARK: - File

    func file(_ section: FieldReader, _ inherited: RuleAttributes) -> [FileRule] {
        section.finish(["matchPaths", "matchDirectories", "matchPatterns"] + Self.common)
        let inherited = ActionDecoder.attributes(of: section, inherited: inherited)
        var rules: [FileRule] = []
        func add(_ subject: PathSubject?, _ item: FieldReader) {
            guard let subject else { return }
            var rule = FileRule(
                subject: subject, attributes: ActionDecoder.attributes(of: item, inherited: inherited),
                position: item.position)
            rule.readOnly = item.boolean("readOnly") ?? false
            rule.ownerOnly = item.boolean("ownerOnly") ?? false
            if case .pattern = subject {
            } else {
                rule.terminal = item.boolean("pts")
                rule.sources = sources(item)
            }
            rules.append(rule)
        }
        forEach(section, "matchPaths", ["path", "readOnly", "ownerOnly", "pts", "fromSource"]) { item in
            add(path(item, "path", required: true).map(PathSubject.path), item)
        }
        forEach(section, "matchDirectories", ["dir", "recursive", "readOnly", "ownerOnly", "pts", "fromSource"]) {
            item in
            add(directorySubject(item), item)
        }
        forEach(section, "matchPatterns", ["pattern", "readOnly", "ownerOnly"]) { item in
            add(patternSubject(item), item)
        }
        return rules
    }

    // MARK: - Network

    func network(_ section: FieldReader, _ inherited: RuleAttributes) -> ([ProtocolRule], [DNSRule]) {
        section.finish(["matchProtocols", "matchDNSQueries"] + Self.common)
        let inherited = ActionDecoder.attributes(of: section, inherited: inherited)
        var protocols: [ProtocolRule] = []
        var queries: [DNSRule] = []
        forEach(
            section, "matchProtocols", kind == .host ? ["protocol", "fromSource"] : ["protocol", "fromSource", "pts"]
        ) { item in
            let attributes = ActionDecoder.attributes(of: item, inherited: inherited)
            let from = sources(item)
            let terminal = item.boolean("pts")
            for word in commaList(item, "protocol") {
                // In one case or the other, not in both.
                guard
                    let name = ProtocolName.allCases.first(where: {
                        [$0.rawValue, $0.rawValue.uppercased()].contains(word)
                    })
                else {
                    sink.error(
                        item.position(of: "protocol"),
                        unknown(item, "protocol", word, ProtocolName.allCases.map(\.rawValue)))
                    continue
                }
                var rule = ProtocolRule(name: name, attributes: attributes, position: item.position)
                rule.sources = from
                rule.terminal = terminal
                protocols.append(rule)
            }
        }
        forEach(section, "matchDNSQueries", ["domain", "fromSource"]) { item in
            let attributes = ActionDecoder.attributes(of: item, inherited: inherited)
            let from = sources(item)
            for word in commaList(item, "domain") {
                let domain = word.trimming(".")
                guard FieldRules.isDomain(domain) else {
                    sink.error(item.position(of: "domain"), "\(item.name(of: "domain")) is not a domain name")
                    continue
                }
                var rule = DNSRule(domain: domain, attributes: attributes, position: item.position)
                rule.sources = from
                queries.append(rule)
            }
        }
        return (protocols, queries)
    }

    // MARK: - Capabilities, system calls, presets, devices

    func capabilities(_ section: FieldReader, _ inherited: RuleAttributes) -> [CapabilityRule] {
        section.finish(["matchCapabilities"] + Self.common)
        let inherited = ActionDecoder.attributes(of: section, inherited: inherited)
        var rules: [CapabilityRule] = []
        forEach(section, "matchCapabilities", ["capability", "fromSource"]) { item in
            let attributes = ActionDecoder.attributes(of: item, inherited: inherited)
            let from = sources(item)
            for word in commaList(item, "capability") {
                let name = word.hasPrefix("cap_") ? String(word.dropFirst(4)) : word
                guard let number = KnownNames.capabilities.firstIndex(of: name) else {
                    sink.error(
                        item.position(of: "capability"), unknown(item, "capability", word, KnownNames.capabilities))
                    continue
                }
                var rule = CapabilityRule(
                    capability: UInt8(number), name: name, attributes: attributes, position: item.position)
                rule.sources = from
                rules.append(rule)
            }
        }
        return rules
    }

    func syscalls(_ section: FieldReader, _ inherited: RuleAttributes) -> [SyscallRule] {
        section.finish(["matchSyscalls", "matchPaths", "severity", "tags", "message"])
        var inherited = ActionDecoder.attributes(of: section, inherited: inherited)
        inherited.action = .audit
        var rules: [SyscallRule] = []
        func add(_ item: FieldReader, _ path: String?) {
            let names = item.strings("syscall")
            if names.isEmpty { sink.error(item.position, "\(item.name(of: "syscall")) is required") }
            for name in names where !KnownNames.systemCalls.contains(name) {
                sink.error(item.position(of: "syscall"), unknown(item, "syscall", name, KnownNames.systemCalls))
            }
            // Only what the entry itself says blocks, which is an extension.
            let attributes = ActionDecoder.attributes(of: item, inherited: inherited)
            if attributes.action == .allow {
                sink.error(
                    item.position(of: "action"), "\(item.name(of: "action")) must be Audit or Block, not 'Allow'")
            }
            var rule = SyscallRule(syscalls: names, path: path, attributes: attributes, position: item.position)
            rule.recursive = item.boolean("recursive") ?? false
            rule.sources = syscallSources(item)
            rules.append(rule)
        }
        let extras = ["severity", "tags", "message"]
        forEach(section, "matchSyscalls", ["syscall", "fromSource", "action"], common: extras) { add($0, nil) }
        forEach(section, "matchPaths", ["path", "recursive", "syscall", "fromSource"], common: extras) { item in
            guard let text = item.string("path", required: true) else { return }
            let problem = text.hasSuffix("/") ? FieldRules.directoryProblem(text) : FieldRules.pathProblem(text)
            if let problem { sink.error(item.position(of: "path"), "\(item.name(of: "path")) '\(text)' \(problem)") }
            add(item, FieldRules.normalized(text))
        }
        return rules
    }

    func presets(_ spec: FieldReader, _ inherited: RuleAttributes) -> [PresetRule] {
        spec.items("presets", limit: 100).compactMap { item in
            guard let reader = FieldReader(item.tree, path: item.path, sink: sink) else { return nil }
            reader.finish(["name", "action"])
            guard let word = reader.string("name", required: true) else { return nil }
            guard let name = PresetName(rawValue: word) else {
                sink.error(
                    reader.position(of: "name"), unknown(reader, "name", word, PresetName.allCases.map(\.rawValue)))
                return nil
            }
            var attributes = inherited
            // Everything but Audit blocks, an absent action too.
            attributes.action = ActionDecoder.action(of: reader, lowerCase: false) == .audit ? .audit : .block
            return PresetRule(name: name, attributes: attributes, position: reader.position)
        }
    }

    func devices(_ section: FieldReader, _ inherited: RuleAttributes) -> [DeviceRule] {
        section.finish(["matchDevice"] + Self.common)
        let inherited = ActionDecoder.attributes(of: section, inherited: inherited)
        var rules: [DeviceRule] = []
        forEach(section, "matchDevice", ["class", "subClass", "protocol", "level"]) { item in
            guard let tree = item.value("class") else {
                sink.error(item.position, "\(item.name(of: "class")) is required")
                return
            }
            guard case .scalar(let word, _) = tree.content, let number = Self.usbClass(word) else {
                sink.error(tree.position, "\(item.name(of: "class")) must be a USB class name, a number, or ALL")
                return
            }
            var rule = DeviceRule(
                usbClass: number, attributes: ActionDecoder.attributes(of: item, inherited: inherited),
                position: item.position)
            rule.subClass = item.integer("subClass", in: 0...255)
            rule.protocolNumber = item.integer("protocol", in: 0...255)
            rule.level = item.integer("level", in: 1...Int(Int32.max))
            rules.append(rule)
        }
        return rules
    }

    /// `.some(nil)` is ALL; `nil` is unknown.
    private static func usbClass(_ word: String) -> Int?? {
        if word.uppercased() == "ALL" { return .some(nil) }
        if let number = KnownNames.usbClasses[word.uppercased()] { return number }
        let isHex = word.hasPrefix("0x")
        let digits = isHex ? word.dropFirst(2) : word[...]
        // No sign, and no zero in front of a decimal: YAML 1.1 reads 010 as 8.
        guard digits.utf8.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }),
            isHex || digits == "0" || !digits.hasPrefix("0"), let number = UInt8(digits, radix: isHex ? 16 : 10)
        else { return nil }
        return .some(Int(number))
    }

    // MARK: - Parts

    private func forEach(
        _ section: FieldReader, _ list: String, _ fields: [String], common: [String] = common,
        _ body: (FieldReader) -> Void
    ) {
        for item in section.items(list) {
            guard let reader = FieldReader(item.tree, path: item.path, sink: sink) else { continue }
            reader.finish(fields + common)
            body(reader)
        }
    }

    private func path(_ item: FieldReader, _ key: String, required: Bool) -> String? {
        guard let text = item.string(key, required: required) else { return nil }
        if let problem = FieldRules.pathProblem(text) {
            sink.error(item.position(of: key), "\(item.name(of: key)) '\(text)' \(problem)")
            return nil
        }
        return FieldRules.normalized(text)
    }

    private func programSubject(_ item: FieldReader) -> PathSubject? {
        let name = item.string("execname")
        if let name, let problem = FieldRules.nameProblem(name) {
            sink.error(item.position(of: "execname"), "\(item.name(of: "execname")) \(problem)")
            return nil
        }
        if item.value("path") != nil {
            if name != nil {
                sink.warning(item.position(of: "execname"), "\(item.name(of: "execname")) has no effect beside a path")
            }
            return path(item, "path", required: true).map(PathSubject.path)
        }
        if let name { return .execname(name) }
        sink.error(item.position, "\(item.path) needs a path or an execname")
        return nil
    }

    private func directorySubject(_ item: FieldReader) -> PathSubject? {
        guard let text = item.string("dir", required: true) else { return nil }
        if let problem = FieldRules.directoryProblem(text) {
            sink.error(item.position(of: "dir"), "\(item.name(of: "dir")) '\(text)' \(problem)")
            return nil
        }
        return .directory(FieldRules.normalized(text), recursive: item.boolean("recursive") ?? false)
    }

    private func patternSubject(_ item: FieldReader) -> PathSubject? {
        guard let text = item.string("pattern", required: true) else { return nil }
        if let problem = FieldRules.patternProblem(text) {
            sink.error(item.position(of: "pattern"), "\(item.name(of: "pattern")) '\(text)' \(problem)")
            return nil
        }
        return .pattern(text)
    }

    private func sources(_ item: FieldReader) -> [String] {
        item.items("fromSource").compactMap { source in
            guard let reader = FieldReader(source.tree, path: source.path, sink: sink) else { return nil }
            reader.finish(["path"])
            warnIfEmpty(reader, ["path"])
            return path(reader, "path", required: false)
        }
    }

    private func syscallSources(_ item: FieldReader) -> [SyscallRule.Source] {
        item.items("fromSource").compactMap { source in
            guard let reader = FieldReader(source.tree, path: source.path, sink: sink) else { return nil }
            reader.finish(["path", "dir", "recursive"])
            warnIfEmpty(reader, ["path", "dir"])
            let recursive = reader.boolean("recursive") ?? false
            guard let dir = reader.string("dir") else {
                return path(reader, "path", required: false).map { SyscallRule.Source(path: $0) }
            }
            if reader.value("path") != nil {
                sink.error(reader.position(of: "path"), "\(reader.path) must have a path or a dir, not both")
            }
            // The definition has no pattern for it; a slash at the end may be missing.
            let directory = dir.hasSuffix("/") || dir.isEmpty ? dir : dir + "/"
            if let problem = FieldRules.directoryProblem(directory) {
                sink.error(reader.position(of: "dir"), "\(reader.name(of: "dir")) '\(dir)' \(problem)")
                return nil
            }
            return SyscallRule.Source(path: FieldRules.normalized(directory), recursive: recursive)
        }
    }

    /// An item that names no source is skipped, as upstream does: without others the rule holds for all.
    private func warnIfEmpty(_ reader: FieldReader, _ fields: [String]) {
        if fields.allSatisfy({ reader.value($0) == nil }) {
            sink.warning(reader.position, "\(reader.path) has no effect: it has no \(fields.joined(separator: " or "))")
        }
    }

    private func unknown(_ item: FieldReader, _ key: String, _ word: String, _ known: some Sequence<String>) -> String {
        "\(item.name(of: key)) '\(word)' is not known\(Spelling.hint(word, in: known))"
    }

    /// A field's value split at commas, spaces removed.
    private func commaList(_ item: FieldReader, _ key: String) -> [String] {
        guard let text = item.string(key, required: true) else { return [] }
        return text.filter { $0 != " " }.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }
}

extension String {
    /// Without leading and trailing characters of this kind.
    fileprivate func trimming(_ character: Character) -> String {
        var text = self[...]
        while text.first == character { text = text.dropFirst() }
        while text.last == character { text = text.dropLast() }
        return String(text)
    }
}

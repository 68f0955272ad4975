import PolicyModel

/// Reads KubeArmorNetworkPolicy.
struct NetworkPolicyDecoder {
    let sink: DiagnosticSink

    func rules(_ spec: FieldReader, _ key: String, peers: String, _ inherited: RuleAttributes) -> [NetworkPolicyRule] {
        spec.items(key).compactMap { item in
            guard let reader = FieldReader(item.tree, path: item.path, sink: sink) else { return nil }
            reader.finish([peers, "iface", "ports", "limit", "duration", "severity", "tags", "message", "action"])
            var rule = NetworkPolicyRule(
                attributes: ActionDecoder.attributes(of: reader, inherited: inherited), position: reader.position)
            rule.cidrs = cidrs(reader, peers)
            rule.interfaces = reader.strings("iface")
            rule.ports = reader.items("ports").compactMap(port)
            rule.limit = limit(reader)
            rule.duration = duration(reader)
            return rule
        }
    }

    func level(_ spec: FieldReader) -> String {
        guard let text = spec.string("level") else { return "" }
        guard ["pod", "policy"].contains(text.lowercased()), text.dropFirst().allSatisfy(\.isLowercase) else {
            sink.error(spec.position(of: "level"), "spec.level must be Pod or Policy, not '\(text)'")
            return ""
        }
        return text.lowercased() == "pod" ? "Pod" : "Policy"
    }

    /// The definition's rules over several fields.
    func checkSelectors(_ spec: FieldReader, _ policy: Policy) {
        guard let selector = spec.value("selector"), case .mapping(let pairs) = selector.content, !pairs.isEmpty else {
            if policy.selector == Selector() { sink.warning(spec.position, "the policy selects nothing") }
            return
        }
        if spec.value("nodeSelector") != nil {
            sink.error(selector.position, "spec.selector and spec.nodeSelector exclude each other")
        }
        for rule in policy.ingress + policy.egress where rule.limit.isEmpty || rule.duration.isEmpty {
            sink.error(rule.position, "with spec.selector every rule needs limit and duration")
        }
    }

    private func cidrs(_ reader: FieldReader, _ peers: String) -> [String] {
        reader.items(peers).compactMap { item in
            guard let peer = FieldReader(item.tree, path: item.path, sink: sink) else { return nil }
            peer.finish(["ipBlock"])
            guard let block = peer.reader("ipBlock") else {
                if peer.value("ipBlock") == nil { sink.error(peer.position, "\(peer.name(of: "ipBlock")) is required") }
                return nil
            }
            block.finish(["cidr"])
            guard let cidr = block.string("cidr", required: true) else { return nil }
            if let problem = FieldRules.prefixProblem(cidr) {
                sink.error(block.position(of: "cidr"), "\(block.name(of: "cidr")) '\(cidr)' \(problem)")
                return nil
            }
            return cidr
        }
    }

    private func port(_ item: (tree: DocumentTree, path: String)) -> NetworkPolicyPort? {
        guard let reader = FieldReader(item.tree, path: item.path, sink: sink) else { return nil }
        reader.finish(["port", "endPort", "protocol"])
        guard let port = reader.string("port", required: true) else { return nil }
        var first: Int?
        if port.utf8.allSatisfy({ (0x30...0x39).contains($0) }), !port.isEmpty {
            guard FieldRules.isNumber(port[...]), let number = Int(port), (1...65535).contains(number) else {
                sink.error(
                    reader.position(of: "port"), "\(reader.name(of: "port")) must be between 1 and 65535, not \(port)")
                return nil
            }
            first = number
        } else if port.isEmpty
            || !port.utf8.allSatisfy({ (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D })
        {
            sink.error(
                reader.position(of: "port"),
                "\(reader.name(of: "port")) must be a number or a service name, not '\(port)'")
            return nil
        }
        let last = reader.integer("endPort", in: 1...65535)
        if let first, let last, last < first {
            sink.error(reader.position(of: "endPort"), "\(reader.name(of: "endPort")) is below the first port")
        }
        let name = reader.string("protocol") ?? ""
        if !name.isEmpty && !["TCP", "UDP", "SCTP", "tcp", "udp", "sctp"].contains(name) {
            sink.error(
                reader.position(of: "protocol"),
                "\(reader.name(of: "protocol")) must be TCP, UDP or SCTP, not '\(name)'")
        }
        return NetworkPolicyPort(port: port, endPort: last, protocolName: name.uppercased())
    }

    private func limit(_ reader: FieldReader) -> String {
        guard let text = reader.string("limit") else { return "" }
        let digits = text.prefix { $0.isNumber && $0.isASCII }
        guard !digits.isEmpty, ["", "KB", "MB", "GB", "K", "M", "G"].contains(text.dropFirst(digits.count)) else {
            sink.error(
                reader.position(of: "limit"),
                "\(reader.name(of: "limit")) must be like 500KB, 2MB or 1GB, not '\(text)'")
            return ""
        }
        if QuotaText.bytes(text) == nil {
            sink.error(
                reader.position(of: "limit"), "\(reader.name(of: "limit")) is more than can be counted: '\(text)'")
            return ""
        }
        return text
    }

    private func duration(_ reader: FieldReader) -> String {
        guard let text = reader.string("duration") else { return "" }
        if let problem = FieldRules.durationProblem(text) {
            sink.error(
                reader.position(of: "duration"), "\(reader.name(of: "duration")) \(problem), not '\(text)'")
            return ""
        }
        return text
    }
}

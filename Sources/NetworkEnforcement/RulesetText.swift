import Glibc

/// A ruleset as nft(8) prints it, for people to compare.
struct RulesetText {
    private let ruleset: Ruleset
    private var lines: [String] = []

    static func of(_ ruleset: Ruleset) -> String {
        if ruleset.isEmpty { return "" }
        var text = RulesetText(ruleset: ruleset)
        text.print()
        return text.lines.joined(separator: "\n") + "\n"
    }

    private init(ruleset: Ruleset) { self.ruleset = ruleset }

    private mutating func print() {
        lines.append("table inet \(Ruleset.table) {")
        // nft prints objects, then sets, then chains, with an empty line between any two.
        var isFirst = true
        func begin(_ line: String) -> [String] {
            defer { isFirst = false }
            return (isFirst ? [] : [""]) + ["\t" + line]
        }
        for quota in ruleset.quotas {
            lines += begin("quota \(quota.name) {")
            lines += ["\t\tover " + Self.amount(quota.bytes), "\t}"]
        }
        for set in ruleset.sets {
            lines += begin("\(set.isMap ? "map" : "set") \(set.name) {")
            lines.append("\t\ttype \(Self.type(set.key))" + (set.isMap ? " : verdict" : ""))
            if set.key != .interface { lines.append("\t\tflags interval") }
            let elements =
                set.key == .interface
                ? set.interfaces.map { "\"\($0)\"" } : set.ranges.map { Self.element($0, set.key) }
            lines += ["\t\telements = { " + elements.joined(separator: ", ") + " }", "\t}"]
        }
        for chain in ruleset.chains {
            lines += begin("chain \(chain.name) {")
            if let hook = chain.hook {
                let distance = "\(chain.priority < 0 ? "-" : "+") \(abs(chain.priority))"
                let priority = chain.priority == 0 ? "filter" : "filter \(distance)"
                lines.append("\t\ttype filter hook \(hook) priority \(priority); policy accept;")
            }
            lines += chain.rules.map { "\t\t" + text($0) }
            lines.append("\t}")
        }
        lines.append("}")
    }

    private func text(_ rule: Ruleset.Rule) -> String {
        var words: [String] = []
        var transport = ""
        for (index, match) in rule.matches.enumerated() {
            // A port says the transport itself.
            if case .transport(let number) = match {
                transport = Self.transport(number)
                if index + 1 < rule.matches.count, rule.matches[index + 1].isAboutPorts { continue }
                if case .mapPort = rule.action { continue }
            }
            words.append(Self.text(match, transport))
        }
        if let log = rule.log {
            words.append("log prefix \"\(log)\" group \(ruleset.logGroup) snaplen \(rule.logBytes)")
        }
        if rule.counts { words.append("counter packets 0 bytes 0") }
        switch rule.action {
        case .decide(let verdict): words.append(Self.text(verdict))
        case .mapPort(let map): words.append("\(transport) dport vmap @\(map)")
        case .mapAddress(let side, let family, let map):
            words.append("\(Self.address(side, family)) vmap @\(map)")
        case .none: break
        }
        return words.joined(separator: " ")
    }

    private static func text(_ match: Ruleset.Match, _ transport: String) -> String {
        switch match {
        case .interface(let hook, let name): "\(interface(hook)) \"\(name)\""
        case .interfaces(let hook, let set): "\(interface(hook)) @\(set)"
        case .prefix(let side, let prefix):
            "\(address(side, prefix.family)) "
                + range(prefix.range, prefix.family == .ipv4 ? .ipv4 : .ipv6)
        case .addresses(let side, let family, let set): "\(address(side, family)) @\(set)"
        case .transport(let number): "meta l4proto \(Self.transport(number))"
        case .ports(let first, let last): "\(transport) dport \(first)" + (first == last ? "" : "-\(last)")
        case .portSet(let set): "\(transport) dport @\(set)"
        case .flowState(let mask):
            "ct state "
                + [(1, "invalid"), (2, "established"), (4, "related"), (8, "new"), (64, "untracked")]
                .filter { mask & $0.0 != 0 }.map(\.1).joined(separator: ",")
        case .icmpv6(let first, let last):
            // nft has names for types, and none in a range.
            "icmpv6 type " + (first == last ? Self.icmpv6(first) : "\(first)-\(last)")
        case .cgroup(let id, let level): "socket cgroupv2 level \(level) \(id)"
        case .netClass(let id): "meta cgroup \(id)"
        case .users(let first, let last): "meta skuid \(first)" + (first == last ? "" : "-\(last)")
        case .quota(let name): "quota name \"\(name)\""
        case .rate(let rate, let burst): "limit rate \(rate)/second burst \(burst) packets"
        case .payload(let offset, let mask, let value):
            payload(offset, value.count) + (mask.isEmpty ? " " : " & \(number(mask)) == ") + number(value)
        case .payloadByte(let offset, let first, let last):
            payload(offset, 1) + " " + number([first]) + (first == last ? "" : "-" + number([last]))
        case .shorter(let length): "meta length < \(length)"
        }
    }

    private static func text(_ verdict: Ruleset.Verdict) -> String {
        switch verdict {
        case .accept: "accept"
        case .drop: "drop"
        case .goto(let chain): "goto \(chain)"
        case .jump(let chain): "jump \(chain)"
        case .leave: "return"
        }
    }

    private static func payload(_ offset: UInt16, _ count: Int) -> String { "@th,\(8 * Int(offset)),\(8 * count)" }

    /// As a hexadecimal number.
    private static func number(_ bytes: [UInt8]) -> String {
        let digits = bytes.flatMap { [$0 >> 4, $0 & 0xF] }.drop { $0 == 0 }
        return "0x" + (digits.isEmpty ? "0" : digits.map { String($0, radix: 16) }.joined())
    }

    private static func interface(_ hook: Ruleset.Hook) -> String { hook == .output ? "oifname" : "iifname" }

    private static func address(_ side: Ruleset.Side, _ family: AddressFamily) -> String {
        (family == .ipv4 ? "ip " : "ip6 ") + (side == .source ? "saddr" : "daddr")
    }

    private static func transport(_ number: UInt8) -> String {
        [1: "icmp", 6: "tcp", 17: "udp", 33: "dccp", 58: "ipv6-icmp", 132: "sctp", 136: "udplite"][number]
            ?? String(number)
    }

    private static func icmpv6(_ type: UInt8) -> String { type == 143 ? "mld2-listener-report" : String(type) }

    private static func type(_ key: Ruleset.Key) -> String {
        switch key {
        case .ipv4: "ipv4_addr"
        case .ipv6: "ipv6_addr"
        case .port: "inet_service"
        case .interface: "ifname"
        }
    }

    private static func element(_ element: Ruleset.Element, _ key: Ruleset.Key) -> String {
        range(element.first...element.last, key) + (element.verdict.map { " : " + text($0) } ?? "")
    }

    /// A prefix where the range is one, as nft prefers it.
    private static func range(_ range: ClosedRange<UInt128>, _ key: Ruleset.Key) -> String {
        let (first, last) = (range.lowerBound, range.upperBound)
        if first == last { return number(first, key) }
        let span = last - first
        if key != .port, span == .max || span & (span + 1) == 0, first & span == 0 {
            return "\(number(first, key))/\(8 * key.length - (128 - span.leadingZeroBitCount))"
        }
        return "\(number(first, key))-\(number(last, key))"
    }

    private static func number(_ value: UInt128, _ key: Ruleset.Key) -> String {
        if key == .port { return String(value) }
        let bytes = (0..<key.length).map { UInt8(truncatingIfNeeded: value >> UInt128(8 * (key.length - 1 - $0))) }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(key == .ipv4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count)) != nil else {
            return ""
        }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// As nft has it: the greatest unit that leaves no rest.
    private static func amount(_ bytes: UInt64) -> String {
        if bytes != 0, bytes % (1 << 20) == 0 { return "\(bytes >> 20) mbytes" }
        if bytes != 0, bytes % (1 << 10) == 0 { return "\(bytes >> 10) kbytes" }
        return "\(bytes) bytes"
    }
}

extension Ruleset.Match {
    fileprivate var isAboutPorts: Bool {
        switch self {
        case .ports, .portSet: true
        default: false
        }
    }
}

extension Ruleset {
    /// As `nft list table inet portcullis` prints it, but for the lines that it breaks; empty without a table.
    public var text: String { RulesetText.of(self) }
}

import LinuxKernel

/// What the nf_tables of this kernel can do, found by asking it to check a transaction that is then given up.
public struct NetworkFeatures: OptionSet, Sendable, Hashable {
    /// A bit for each.
    public let rawValue: UInt32
    /// From the bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Tables of the family inet with chains, addresses, ports and sets of ranges: without them nothing is enforced. Since 3.14.
    public static let tables = NetworkFeatures(rawValue: 1)
    /// Known flows (nft_ct). Rules would refuse the answers to what they let through.
    public static let flows = NetworkFeatures(rawValue: 2)
    /// Packets can be logged to nfnetlink_log (nft_log).
    public static let logs = NetworkFeatures(rawValue: 4)
    /// Limits of a rate (nft_limit).
    public static let rates = NetworkFeatures(rawValue: 8)
    /// Quotas with names (nft_quota). Since 4.10.
    public static let quotas = NetworkFeatures(rawValue: 16)
    /// The cgroup of a socket (nft_socket). Since 5.13.
    public static let cgroups = NetworkFeatures(rawValue: 32)

    /// The class that net_cls gives a socket (nft_meta with CONFIG_CGROUP_NET_CLASSID).
    public static let classes = NetworkFeatures(rawValue: 64)

    /// Offsets in packets of more than 255: bytes beyond `NetfilterRule.payloadReach` can be compared. Since 6.18.
    public static let farBytes = NetworkFeatures(rawValue: 128)

    /// All that a ruleset can use.
    public static let all: NetworkFeatures = [.tables, .flows, .logs, .rates, .quotas, .cgroups, .classes, .farBytes]

    /// Each with its name, as `probe` prints it.
    public static let names: [(feature: NetworkFeatures, name: String)] = [
        (.tables, "tables"), (.flows, "ct"), (.logs, "log"), (.rates, "limit"), (.quotas, "quota"),
        (.cgroups, "cgroupv2"), (.classes, "net_cls"), (.farBytes, "far-bytes"),
    ]

    /// Those of this kernel, for the calling process, in its network namespace; none without CAP_NET_ADMIN.
    public static func probe() -> NetworkFeatures {
        guard let descriptor = try? NetfilterSocket.open() else { return [] }
        return probe(NetfilterSocket(owning: descriptor))
    }

    static func probe(_ socket: borrowing NetfilterSocket) -> NetworkFeatures {
        var result: NetworkFeatures = []
        for (feature, _) in names where accepts(ruleset(feature), socket) { result.insert(feature) }
        return result
    }

    private static func accepts(_ ruleset: Ruleset, _ socket: borrowing NetfilterSocket) -> Bool {
        // A change by somebody else between the two calls says nothing about the feature.
        for _ in 0..<64 {
            do {
                let generation = try socket.generation()
                let batch = try ruleset.batch(replacing: Ruleset.Present(), table: "portcullis-probe")
                try socket.commit(batch, generation: generation, onlyChecks: true)
                return true
            } catch let error as NetfilterError where [4, 85, 105].contains(error.errno) {  // EINTR, ERESTART, ENOBUFS
                continue
            } catch { return false }
        }
        return false
    }

    /// A ruleset that needs one feature.
    private static func ruleset(_ feature: NetworkFeatures) -> Ruleset {
        var ruleset = Ruleset(logGroup: 1)
        var rule = Ruleset.Rule(counts: true, action: .decide(.accept))
        switch feature {
        case .flows: rule.matches = [.flowState(2)]
        case .logs: rule.log = "portcullis"
        case .rates: rule.matches = [.rate(perSecond: 1, burst: 1)]
        case .quotas:
            ruleset.quotas = [Ruleset.Quota(name: "probe", bytes: 1, seconds: 0)]
            rule.matches = [.quota("probe")]
        case .cgroups: rule.matches = [.cgroup(id: 1, level: 1)]
        case .classes: rule.matches = [.netClass(1)]
        case .farBytes: rule.matches = [.transport(17), .payloadByte(offset: 1024, first: 0, last: 0)]
        default:
            ruleset.sets = [
                Ruleset.Set(
                    name: "probe", key: .port, isMap: false, ranges: [Ruleset.Element(first: 1, last: 2)],
                    interfaces: [])
            ]
            rule.matches = [.transport(6), .portSet("probe")]
        }
        ruleset.chains = [Ruleset.Chain(name: "probe", hook: .output, rules: [rule])]
        return ruleset
    }
}

extension Ruleset.Chain {
    /// A base chain with nothing but quotas.
    var isOfQuotas: Bool { hook != nil && name.hasSuffix("-quota") }
}

extension Ruleset.Match {
    /// Whether it looks at bytes that not every kernel reads.
    var isFar: Bool {
        switch self {
        case .payload(let offset, _, let value): UInt32(offset) + UInt32(value.count) > NetfilterRule.payloadReach
        case .payloadByte(let offset, _, _): UInt32(offset) >= NetfilterRule.payloadReach
        default: false
        }
    }
}

extension Ruleset {
    /// The rules that a kernel with these features can have.
    func reduced(to features: NetworkFeatures) -> Ruleset {
        guard features.contains([.tables, .flows]) else { return Ruleset(logGroup: logGroup) }
        var result = self
        result.readsFar = features.contains(.farBytes)
        if !features.contains(.quotas) {
            result.quotas = []
            result.chains.removeAll(where: \.isOfQuotas)
        }
        for index in result.chains.indices {
            if !features.contains(.farBytes) {
                result.chains[index].rules.removeAll { $0.matches.contains(where: \.isFar) }
            }
            for rule in result.chains[index].rules.indices {
                if !features.contains(.logs) { result.chains[index].rules[rule].log = nil }
                if !features.contains(.rates) {
                    result.chains[index].rules[rule].matches.removeAll {
                        if case .rate = $0 { true } else { false }
                    }
                }
            }
        }
        return result
    }

    /// The features that it uses.
    var needs: NetworkFeatures {
        guard !isEmpty else { return [] }
        var result: NetworkFeatures = [.tables, .flows]
        if !quotas.isEmpty { result.insert(.quotas) }
        for rule in chains.lazy.flatMap(\.rules) {
            if rule.log != nil { result.insert(.logs) }
            if rule.matches.contains(where: \.isFar) { result.insert(.farBytes) }
        }
        return result
    }
}

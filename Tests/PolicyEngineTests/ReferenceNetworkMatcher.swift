import PolicyModel

/// The categories without paths, and system call rules.
struct ReferenceNetworkMatcher {
    private let protocols: [ProtocolEntry]
    private let dns: [DNSEntry]
    private let capabilities: [CapabilityEntry]
    private let syscalls: [SyscallRule]
    private let postures: Postures

    private struct ProtocolEntry {
        var type: Int32?
        var number: Int32?
        var isExpanded: Bool
        var terminal: Bool?
        var source: [UInt8]?
        var action: RuleAction
        var line: Int

        func denies(_ operation: ReferenceOperation, as action: RuleAction) -> Bool {
            if terminal == false {
                if operation.hasTerminal { return true }
                if action == .block { return false }
            }
            return action == .block
        }
    }
    private struct DNSEntry {
        var domain: [UInt8]
        var source: [UInt8]?
        var action: RuleAction
        var line: Int
    }
    private struct CapabilityEntry {
        var number: UInt8
        var source: [UInt8]?
        var action: RuleAction
        var line: Int
    }

    init(policies: [Policy], postures: Postures) {
        protocols = policies.flatMap(\.protocols).flatMap(Self.entries)
        dns = policies.flatMap(\.dns).flatMap { rule in
            ReferenceObjectRule.sources(rule.sources).map {
                DNSEntry(
                    domain: Self.normalized(rule.domain), source: $0, action: rule.attributes.action,
                    line: rule.position.line)
            }
        }
        capabilities = policies.flatMap(\.capabilities).flatMap { rule in
            ReferenceObjectRule.sources(rule.sources).map {
                CapabilityEntry(
                    number: rule.capability, source: $0, action: rule.attributes.action, line: rule.position.line)
            }
        }
        syscalls = policies.flatMap(\.syscalls)
        self.postures = postures
    }

    private static func entries(_ rule: ProtocolRule) -> [ProtocolEntry] {
        let types: [ProtocolName: Int32] = [
            .stream: 1, .dgram: 2, .raw: 3, .rdm: 4, .seqpacket: 5, .dccp: 6, .packet: 10,
        ]
        let numbers: [ProtocolName: Int32] = [.tcp: 6, .udp: 17, .icmp: 1, .icmpv6: 58, .sctp: 132]
        let keys: [(Int32?, Int32?)] =
            rule.name == .all
            ? types.values.map { ($0, nil) } : [(types[rule.name], numbers[rule.name])]
        return ReferenceObjectRule.sources(rule.sources).flatMap { source in
            keys.map {
                ProtocolEntry(
                    type: $0.0, number: $0.1, isExpanded: rule.name == .all, terminal: rule.terminal, source: source,
                    action: rule.attributes.action, line: rule.position.line)
            }
        }
    }

    // MARK: Protocols

    func protocolVerdict(
        _ operation: ReferenceOperation, _ coverage: inout ReferenceCoverage
    ) -> ReferenceVerdict {
        let number = operation.isInternet ? Self.protocolKey(operation.socketType, operation.protocolNumber) : nil
        if number == nil { coverage.note(.protocolNotInternet) }
        let source = operation.source
        let type = operation.socketType
        let tiers: [(ReferenceBranch, [ProtocolEntry])] = [
            (.protocolTypeSource, protocols.filter { $0.type == type && $0.source == source }),
            (
                .protocolNumberSource,
                number == nil ? [] : protocols.filter { $0.number == number && $0.source == source }
            ),
            (.protocolType, protocols.filter { $0.type == type && $0.source == nil }),
            (.protocolNumber, number == nil ? [] : protocols.filter { $0.number == number && $0.source == nil }),
        ]
        var enforced: ReferenceVerdict?
        for (branch, entries) in tiers {
            guard let rule = entries.last(where: { $0.action != .audit }) else { continue }
            coverage.note(branch)
            if rule.isExpanded { coverage.note(.protocolExpandedAll) }
            enforced = ReferenceVerdict(
                effect: rule.denies(operation, as: rule.action) ? .block : .allow, reason: .line(rule.line))
            break
        }
        if enforced == nil { coverage.note(.protocolMiss) }
        let result =
            enforced
            ?? ReferenceMatcher.miss(
                isAllowList: protocols.contains { $0.action == .allow }, postures.network, &coverage)
        if result.effect == .block { return result }
        for (_, entries) in tiers {
            for rule in entries where rule.action == .audit && rule.denies(operation, as: .block) {
                coverage.note(.protocolAudit)
                return ReferenceVerdict(effect: .audit, reason: .line(rule.line))
            }
        }
        return result
    }

    private static func protocolKey(_ type: Int32, _ number: Int32) -> Int32 {
        let (stream, dgram, raw, seqpacket): (Int32, Int32, Int32, Int32) = (1, 2, 3, 5)
        if type == stream && number == 0 || number == 6 || number == 262 || number == 256 { return 6 }
        if type == dgram && number == 0 || number == 17 { return 17 }
        if number == 1 && (type == dgram || type == raw) { return 1 }
        if number == 58 && (type == dgram || type == raw) { return 58 }
        if number == 132 && (type == stream || type == seqpacket) { return 132 }
        if type == seqpacket && number == 0 { return 132 }
        return number
    }

    // MARK: DNS

    private static func normalized(_ name: String) -> [UInt8] {
        var bytes = name.utf8.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 + 32 : $0 }
        if bytes.last == UInt8(ascii: ".") { bytes.removeLast() }
        return bytes
    }

    func dnsVerdict(_ operation: ReferenceOperation, _ coverage: inout ReferenceCoverage) -> ReferenceVerdict {
        let name = Self.normalized(operation.name)
        let labels = name.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        // The name itself, then its parents from the nearest up.
        let domains = labels.indices.map { Array(labels[$0...].joined(separator: [UInt8(ascii: ".")])) }
        let tiers: [(isWithSource: Bool, domain: [UInt8])] =
            domains.map { (true, $0) } + domains.map { (false, $0) }
        let candidates = tiers.map { tier in
            dns.filter { $0.domain == tier.domain && $0.source == (tier.isWithSource ? operation.source : nil) }
        }
        var result: ReferenceVerdict?
        for (tier, entries) in zip(tiers, candidates) {
            guard let rule = entries.last(where: { $0.action != .audit }) else { continue }
            switch (tier.isWithSource, tier.domain == name) {
            case (true, true): coverage.note(.dnsExactSource)
            case (true, false): coverage.note(.dnsParentSource)
            case (false, true): coverage.note(.dnsExact)
            case (false, false): coverage.note(.dnsParent)
            }
            result = ReferenceVerdict(effect: rule.action == .block ? .block : .allow, reason: .line(rule.line))
            break
        }
        if result == nil { coverage.note(.dnsMiss) }
        let enforced =
            result
            ?? ReferenceMatcher.miss(isAllowList: dns.contains { $0.action == .allow }, postures.network, &coverage)
        if enforced.effect == .block { return enforced }
        if let rule = candidates.joined().first(where: { $0.action == .audit }) {
            coverage.note(.dnsAudit)
            return ReferenceVerdict(effect: .audit, reason: .line(rule.line))
        }
        return enforced
    }

    // MARK: Capabilities

    func capabilityVerdict(
        _ operation: ReferenceOperation, _ coverage: inout ReferenceCoverage
    ) -> ReferenceVerdict {
        let tiers = [
            capabilities.filter { $0.number == operation.capability && $0.source == operation.source },
            capabilities.filter { $0.number == operation.capability && $0.source == nil },
        ]
        var result: ReferenceVerdict?
        for (index, entries) in tiers.enumerated() {
            guard let rule = entries.last(where: { $0.action != .audit }) else { continue }
            coverage.note(index == 0 ? .capabilitySource : .capabilityAny)
            result = ReferenceVerdict(effect: rule.action == .block ? .block : .allow, reason: .line(rule.line))
            break
        }
        if result == nil { coverage.note(.capabilityMiss) }
        let isAllowList = capabilities.contains { $0.action == .allow }
        let enforced =
            result ?? ReferenceMatcher.miss(isAllowList: isAllowList, postures.capabilities, &coverage)
        if enforced.effect == .block { return enforced }
        if let rule = tiers.joined().first(where: { $0.action == .audit }) {
            coverage.note(.capabilityAudit)
            return ReferenceVerdict(effect: .audit, reason: .line(rule.line))
        }
        return enforced
    }

    // MARK: System calls

    func syscallVerdict(
        _ operation: ReferenceOperation, _ coverage: inout ReferenceCoverage
    ) -> ReferenceVerdict {
        for rule in syscalls where rule.syscalls.contains(where: { $0.utf8.elementsEqual(operation.name.utf8) }) {
            if let path = rule.path {
                guard let argument = operation.syscallPath,
                    Self.covers(Array(path.utf8), isRecursive: rule.recursive, argument)
                else { continue }
            }
            if !rule.sources.isEmpty {
                let source = rule.sources.first {
                    Self.covers(Array($0.path.utf8), isRecursive: $0.recursive, operation.source)
                }
                guard let source else { continue }
                coverage.note(source.path.hasSuffix("/") ? .syscallSourceDirectory : .syscallSource)
            }
            switch (rule.path, rule.path?.hasSuffix("/"), rule.recursive) {
            case (nil, _, _): coverage.note(.syscallWithoutPath)
            case (_, false, _): coverage.note(.syscallExactPath)
            case (_, _, false): coverage.note(.syscallChild)
            case (_, _, true): coverage.note(.syscallBelow)
            }
            return ReferenceVerdict(effect: .audit, reason: .line(rule.position.line))
        }
        coverage.note(.syscallMiss)
        return .allow
    }

    /// An equal path; or, for a directory, a path in it or (recursive) below it.
    private static func covers(_ subject: [UInt8], isRecursive: Bool, _ path: [UInt8]) -> Bool {
        guard subject.last == UInt8(ascii: "/") else { return subject == path }
        let ancestors = ReferencePath.ancestors(of: path)
        return isRecursive ? ancestors.contains(subject) : ancestors.first == subject
    }
}

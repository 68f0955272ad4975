import CNetfilter

/// One nf_tables transaction on a table of the family inet: everything in it happens or nothing does.
///
/// Messages are numbered as they are added; the label of a refused one says what it was about.
public final class NetfilterBatch {
    /// What a set's or a map's keys are.
    public enum Key: Sendable {
        /// An IPv4 address, 4 bytes.
        case ipv4
        /// An IPv6 address, 16 bytes.
        case ipv6
        /// A port, 2 bytes.
        case port
        /// An interface's name, padded to 16 bytes.
        case interface
    }

    /// Where packets meet a chain.
    public enum Hook: Sendable { case input, forward, output }

    /// What becomes of a packet.
    public enum Verdict: Sendable, Equatable {
        case accept, drop
        /// The rules of this chain decide, for good.
        case goto(String)
        /// The rules of this chain decide; if none does, the next rule has its turn.
        case jump(String)
        /// The chain is left: the rule after the jump into it has its turn.
        case leave
    }

    /// A key, or the first of an interval or the first after it; in network byte order.
    public struct Element: Sendable {
        let raw: pc_nft_element

        /// - Parameters:
        ///   - key: as many bytes as `Key` says, at most 16.
        ///   - ends: it ends an interval and is not in it.
        ///   - verdict: for maps.
        public init(key: [UInt8], ends: Bool = false, verdict: Verdict? = nil) {
            var raw = pc_nft_element()
            raw.ends = ends ? 1 : 0
            withUnsafeMutableBytes(of: &raw.key) { room in
                for (index, byte) in key.prefix(room.count).enumerated() { room[index] = byte }
            }
            let (code, chain) = (verdict ?? .drop).code
            raw.verdict = UInt8(code.rawValue)
            withUnsafeMutableBytes(of: &raw.chain) { room in
                for (index, byte) in (chain ?? "").utf8.prefix(room.count - 1).enumerated() { room[index] = byte }
            }
            self.raw = raw
        }
    }

    let raw: OpaquePointer
    private var labels: [String] = [""]

    /// A transaction on `table`. Throws ENOMEM.
    public init(table: String) throws(KernelError) {
        guard let raw = pc_nft_batch_new(table) else { throw KernelError("nf_tables", errno: 12) }
        self.raw = raw
    }

    deinit { pc_nft_batch_free(raw) }

    /// What the message of this number was about.
    func label(_ number: UInt32) -> String { Int(number) < labels.count ? labels[Int(number)] : "" }

    /// Bytes that sending it takes.
    public var size: UInt64 { pc_nft_batch_size(raw) }

    private func labelled(_ label: String, _ add: () -> Void) {
        add()
        while labels.count < Int(pc_nft_batch_count(raw)) { labels.append(label) }
    }

    /// Makes the table unless it is there.
    public func addTable() { labelled("table") { pc_nft_add_table(raw) } }
    /// Deletes the table with all that is in it.
    public func deleteTable() { labelled("table") { pc_nft_delete_table(raw) } }

    /// A chain that rules go to.
    public func addChain(_ name: String) { labelled("chain \(name)") { pc_nft_add_chain(raw, name) } }
    /// A chain of a hook: type filter, policy accept.
    public func addChain(_ name: String, hook: Hook, priority: Int32) {
        let code: pc_nft_hook =
            switch hook {
            case .input: PC_NFT_INPUT
            case .forward: PC_NFT_FORWARD
            case .output: PC_NFT_OUTPUT
            }
        labelled("chain \(name)") { pc_nft_add_base_chain(raw, name, code, priority) }
    }
    /// Deletes a chain that nothing refers to.
    public func deleteChain(_ name: String) { labelled("chain \(name)") { pc_nft_delete_chain(raw, name) } }
    /// Deletes every rule of the table.
    public func flushRules() { labelled("rules") { pc_nft_flush_rules(raw) } }

    /// A set, or a map to verdicts.
    public func addSet(_ name: String, _ key: Key, isInterval: Bool, isMap: Bool, _ elements: [Element]) {
        labelled("set \(name)") {
            pc_nft_add_set(raw, name, Self.code(key), isInterval ? 1 : 0, isMap ? 1 : 0)
            guard !elements.isEmpty else { return }
            let raws = elements.map(\.raw)
            pc_nft_add_elements(raw, name, Self.code(key), isMap ? 1 : 0, raws, UInt32(raws.count))
        }
    }
    /// Deletes a set or map that no rule looks into.
    public func deleteSet(_ name: String) { labelled("set \(name)") { pc_nft_delete_set(raw, name) } }

    /// A quota that matches when more than `bytes` went through.
    public func addQuota(_ name: String, bytes: UInt64) {
        labelled("quota \(name)") { pc_nft_add_quota(raw, name, bytes) }
    }
    /// Deletes a quota that no rule refers to.
    public func deleteQuota(_ name: String) { labelled("quota \(name)") { pc_nft_delete_quota(raw, name) } }

    /// A rule at the end of a chain. `label` stands for it in errors.
    public func addRule(chain: String, label: String, _ build: (NetfilterRule) -> Void) {
        labelled(label) {
            guard let rule = pc_nft_rule_new(raw, chain) else { return }
            build(NetfilterRule(raw: rule))
            pc_nft_add_rule(raw, rule)
        }
    }

    private static func code(_ key: Key) -> pc_nft_key {
        switch key {
        case .ipv4: PC_NFT_IPV4
        case .ipv6: PC_NFT_IPV6
        case .port: PC_NFT_PORT
        case .interface: PC_NFT_NAME_OF_INTERFACE
        }
    }
}

extension NetfilterBatch.Verdict {
    /// As C has it, and the chain's name if there is one.
    var code: (code: pc_nft_verdict, chain: String?) {
        switch self {
        case .accept: (PC_NFT_ACCEPT, nil)
        case .drop: (PC_NFT_DROP, nil)
        case .goto(let chain): (PC_NFT_GOTO, chain)
        case .jump(let chain): (PC_NFT_JUMP, chain)
        case .leave: (PC_NFT_RETURN, nil)
        }
    }
}

/// A transaction that the kernel refused.
public struct NetfilterError: Error, Sendable, CustomStringConvertible {
    /// errno(3), positive.
    public let errno: Int32
    /// What the refused message was about; empty when it is not known.
    public let subject: String

    /// An error with a positive errno.
    public init(errno: Int32, subject: String) {
        self.errno = errno
        self.subject = subject
    }

    /// "nf_tables: chain input: Operation not permitted".
    public var description: String {
        "nf_tables: " + (subject.isEmpty ? "" : subject + ": ") + KernelError.message(errno)
    }
}

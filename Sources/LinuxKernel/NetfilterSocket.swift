import CNetfilter

/// A socket of nfnetlink. It belongs to the network namespace of the thread that opened it, for good.
///
/// One socket has one use: requests, watching changes, or reading logged packets.
public struct NetfilterSocket: ~Copyable, Sendable {
    /// The descriptor, for polling.
    public var descriptor: Int32 { socket.raw }
    /// Its netlink port id, by which changes are known as one's own.
    public let port: UInt32
    private let socket: Descriptor

    /// Opens a socket of the calling thread's namespace, for `init(owning:)`. EPROTONOSUPPORT without nfnetlink in the kernel.
    public static func open() throws(KernelError) -> Int32 {
        try KernelError.check("socket(NETLINK_NETFILTER)", pc_nf_open())
    }

    /// Takes over what `open` gave.
    public init(owning descriptor: Int32) {
        socket = Descriptor(owning: descriptor)
        port = pc_nf_port(descriptor)
    }

    /// The number of the ruleset in force in this namespace.
    public func generation() throws(KernelError) -> UInt32 {
        var value: UInt32 = 0
        try KernelError.check("nf_tables generation", pc_nf_generation(socket.raw, &value))
        return value
    }

    /// Puts a batch in force, if the ruleset still is that of `generation` (ERESTART otherwise), or 0 was given.
    ///
    /// - Parameter onlyChecks: the kernel checks everything and changes nothing.
    public func commit(
        _ batch: NetfilterBatch, generation: UInt32, onlyChecks: Bool = false
    ) throws(NetfilterError) {
        var failed: UInt32 = 0
        let result = pc_nft_commit(socket.raw, batch.raw, generation, onlyChecks ? 1 : 0, &failed)
        if result < 0 { throw NetfilterError(errno: -result, subject: failed == 0 ? "" : batch.label(failed)) }
    }

    /// What a table holds.
    public enum Kind: Sendable, CaseIterable {
        case chains, sets, quotas
        /// Named by their chain, in order.
        case rules
    }

    /// Something in a table.
    public struct Item: Sendable, Hashable {
        /// Its name.
        public var name: String
        /// Given by the kernel, never twice in a table.
        public var handle: UInt64
        /// Of a quota: bytes that it lets pass.
        public var limit: UInt64
        /// Of a quota: bytes that it counted.
        public var used: UInt64
    }

    /// The things of one kind; empty without the table. EINTR when they changed while they were listed.
    public func list(_ kind: Kind, table: String) throws(KernelError) -> [Item] {
        var items: [Item] = []
        let result = withUnsafeMutablePointer(to: &items) {
            pc_nft_list(socket.raw, table, Self.code(kind), Self.collectItem, $0)
        }
        if result == -2 { return [] }
        try KernelError.check("nf_tables list", result)
        return items
    }

    private static let collectItem: pc_nft_item_function = { context, item in
        context?.assumingMemoryBound(to: [Item].self).pointee.append(Item(item.pointee))
    }

    /// What `list` makes of one datagram.
    package static func parse(_ datagram: UnsafeRawBufferPointer, _ kind: Kind, table: String) -> [Item] {
        guard let start = datagram.baseAddress else { return [] }
        var items: [Item] = []
        _ = withUnsafeMutablePointer(to: &items) {
            pc_nft_list_parse(start, UInt32(clamping: datagram.count), table, code(kind), collectItem, $0)
        }
        return items
    }

    /// Begins a quota anew; the bytes it had counted.
    @discardableResult
    public func resetQuota(_ name: String, table: String) throws(KernelError) -> UInt64 {
        var used: UInt64 = 0
        try KernelError.check("nf_tables quota", pc_nft_reset_quota(socket.raw, table, name, &used))
        return used
    }

    /// Somebody's change of the ruleset.
    public struct Change: Sendable {
        /// The netlink port that made it.
        public var port: UInt32
        /// Its process; 0 if not told.
        public var process: Int32
        /// The process' name.
        public var name: String
        /// Something in the table was changed.
        public var isInTable: Bool
        /// The number of the ruleset since; 0 in all but a transaction's last message.
        public var generation: UInt32
    }

    /// Tells of changes from now on, or not any more.
    ///
    /// - Parameter port: nothing is told of its changes.
    public func watch(_ wanted: Bool, except port: UInt32) throws(KernelError) {
        try KernelError.check("nf_tables monitor", pc_nf_watch(socket.raw, wanted ? 1 : 0, port))
    }

    /// The changes since the last call. ENOBUFS when there were too many.
    public func changes(table: String) throws(KernelError) -> [Change] {
        var changes: [Change] = []
        let result = withUnsafeMutablePointer(to: &changes) {
            pc_nf_read_changes(socket.raw, table, Self.collectChange, $0)
        }
        try KernelError.check("nf_tables monitor", result)
        return changes
    }

    private static let collectChange: pc_nft_change_function = { context, change in
        context?.assumingMemoryBound(to: [Change].self).pointee.append(Change(change.pointee))
    }

    /// What `changes` makes of one datagram.
    package static func parseChanges(_ datagram: UnsafeRawBufferPointer, table: String) -> [Change] {
        guard let start = datagram.baseAddress else { return [] }
        var changes: [Change] = []
        _ = withUnsafeMutablePointer(to: &changes) {
            pc_nf_change_parse(start, UInt32(clamping: datagram.count), table, collectChange, $0)
        }
        return changes
    }

    /// Makes this socket the reader of a group of nfnetlink_log, of so many bytes of each packet. EBUSY when it has one already.
    public func bindLog(group: UInt16, bytes: UInt32) throws(KernelError) {
        try KernelError.check("nfnetlink_log", pc_nf_log_bind(socket.raw, group, bytes))
    }

    /// Reads logged packets; false when some were lost because nobody read them in time.
    ///
    /// - Parameter body: gets each packet; its bytes are valid only while it runs.
    public func readLog(_ body: (LoggedPacket) -> Void) throws(KernelError) -> Bool {
        let result = withoutActuallyEscaping(body) { body in
            LoggedPacket.collect(body) { pc_nf_log_read(socket.raw, $0, $1) }
        }
        if result == -105 { return false }
        try KernelError.check("nfnetlink_log", result)
        return true
    }

    /// The name of an interface in this socket's namespace, as bytes; empty when there is none any more.
    public func interfaceName(_ index: UInt32) -> [UInt8] {
        var name = [CChar](repeating: 0, count: 16)
        guard pc_nf_interface_name(socket.raw, index, &name) == 0 else { return [] }
        return name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    }

    private static func code(_ kind: Kind) -> pc_nft_kind {
        switch kind {
        case .chains: PC_NFT_CHAINS
        case .sets: PC_NFT_SETS
        case .quotas: PC_NFT_QUOTAS
        case .rules: PC_NFT_RULES
        }
    }
}

extension NetfilterSocket.Item {
    init(_ raw: pc_nft_item) {
        self.init(name: fixedText(raw.name), handle: raw.handle, limit: raw.limit, used: raw.used)
    }
}

extension NetfilterSocket.Change {
    init(_ raw: pc_nft_change) {
        self.init(
            port: raw.port, process: Int32(bitPattern: raw.process), name: fixedText(raw.name),
            isInTable: raw.in_table != 0, generation: raw.generation)
    }
}

/// The text in an array of characters of C.
private func fixedText<T>(_ characters: T) -> String {
    withUnsafeBytes(of: characters) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}

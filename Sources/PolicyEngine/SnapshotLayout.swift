/// The flat form of a snapshot: a header, then sections of little-endian elements at offsets that the header names.
///
/// Everything refers by index or offset; nothing is a pointer. The reader checks all of it before use.
enum SnapshotLayout {
    static var magic: UInt64 { 0x3230_5041_4e53_4350 }  // "PCSNAP02"
    static var version: UInt32 { 2 }
    static var headerSize: Int { 256 }
    /// No node, record, bucket or source.
    static var none: UInt32 { 0xFFFF_FFFF }
    /// Longest walk through a hash table; the compiler grows a table until this suffices.
    static var maxProbe: Int { 32 }

    /// Byte offsets of the header's fields.
    enum Field {
        static var magic: Int { 0 }
        static var version: Int { 8 }
        static var length: Int { 16 }
        static var checksum: Int { 24 }
        static var generation: Int { 32 }
        static var multiplier: Int { 40 }
        static var finisher: Int { 48 }
        /// Bit n: category n is an allow-list.
        static var allowLists: Int { 56 }
        /// Bit n: category n has rules or presets.
        static var populated: Int { 60 }
        /// Bit n: category n has Audit rules.
        static var audited: Int { 64 }
        static var ruleCount: Int { 68 }
        /// Process, file, system calls: how many ancestors of a path can have a directory's node.
        static var depths: Int { 72 }
        static var presetCount: Int { 84 }
        /// Two words each: name and whether it audits; rule. Block before Audit, then list order.
        static var presets: Int { 88 }
        /// Process enforcing and audit, file enforcing and audit: the bucket of patterns without a literal directory.
        static var floatingBuckets: Int { 128 }
        /// Byte n: posture of category n.
        static var postures: Int { 144 }
        /// Two words a section: offset, count of elements.
        static var sections: Int { 152 }
    }

    /// Sections, with the size of an element in bytes.
    enum Section: Int, CaseIterable {
        case text, slots, nodes, records, pairs, strings, buckets, chunkOffsets, chunks, subjects, direct

        var elementSize: Int {
            switch self {
            case .text: 1
            case .slots: 8
            case .nodes: NodeWord.size
            case .records: RecordWord.size
            case .pairs: 16
            case .strings: 8
            case .buckets: 16
            case .chunkOffsets: 4
            case .chunks: 8
            case .subjects: 16
            case .direct: 4
            }
        }
    }

    /// Words of a node: what is known about one key.
    enum NodeWord {
        static var size: Int { 48 }
        static var text: Int { 0 }
        static var textLength: Int { 1 }
        static var space: Int { 2 }
        static var flags: Int { 3 }
        /// Enforcing records without source.
        static var exact: Int { 4 }
        static var directory: Int { 5 }
        /// Audit records without source: first, count.
        static var exactAudits: Int { 6 }
        static var directoryAudits: Int { 8 }
        static var bucket: Int { 10 }
        static var auditBucket: Int { 11 }
    }

    /// Flags of a node: what the pairs hold for it.
    enum NodeFlag {
        static var boundExact: UInt32 { 1 }
        static var boundRecursive: UInt32 { 2 }
        static var boundDirect: UInt32 { 4 }
        static var boundExactAudit: UInt32 { 8 }
        static var boundRecursiveAudit: UInt32 { 16 }
        static var boundDirectAudit: UInt32 { 32 }
        /// Any Audit record as a directory, bound or not.
        static var directoryAudit: UInt32 { 64 }
    }

    /// Words of a record: a rule under one key.
    enum RecordWord {
        static var size: Int { 20 }
        static var rule: Int { 0 }
        static var flags: Int { 1 }
        /// Node of the source, for patterns; else `none`.
        static var source: Int { 2 }
        /// Strings: allowed arguments, or the sources of a system call rule.
        static var strings: Int { 3 }
        static var stringCount: Int { 4 }
    }

    /// Flags of a record.
    enum RecordFlag {
        static var ownerOnly: UInt32 { 1 }
        static var readOnly: UInt32 { 2 }
        static var noTerminal: UInt32 { 4 }
        static var recursive: UInt32 { 8 }
        static var allows: UInt32 { 16 }
        static var all: UInt32 { 31 }
    }

    /// The lowest bits of the first word of a pair; above it the node.
    enum PairKind {
        static var exact: UInt32 { 0 }
        static var directory: UInt32 { 1 }
        static var exactAudit: UInt32 { 2 }
        static var directoryAudit: UInt32 { 3 }
    }

    /// Nodes found by number: capabilities, socket types, protocols.
    enum Direct {
        static var capabilities: Int { 0 }
        static var capabilityCount: Int { 64 }
        static var types: Int { 64 }
        static var typeCount: Int { 16 }
        static var protocols: Int { 80 }
        static var protocolCount: Int { 256 }
        static var count: Int { 336 }
    }

    /// Set in the length of a system call rule's source: everything below the directory.
    static var recursiveSource: UInt32 { 0x8000_0000 }
}

/// The flat form of a snapshot: a header, then sections of 32-bit little-endian words, each at an offset the header names.
///
/// Everything refers by index or offset; nothing is a pointer. The reader checks every one of them before use.
enum SnapshotLayout {
    static let magic: UInt64 = 0x3130_5041_4e53_4350  // "PCSNAP01"
    static let version: UInt32 = 1
    static let headerSize = 256
    static let noRule: UInt32 = 0xFFFF_FFFF

    /// Byte offsets of the header's fields.
    enum Field {
        static let magic = 0
        static let version = 8
        static let length = 16
        static let checksum = 24
        static let generation = 32
        static let seed = 40
        /// Bit n: category n is an allow-list.
        static let allowLists = 48
        /// Bit n: category n has rules.
        static let populated = 52
        /// Byte n: posture of category n.
        static let postures = 56
        /// Word: first preset in `ruleRefs`; next word: count.
        static let presets = 64
        /// Two words a section: offset, count of elements.
        static let sections = 72
    }

    /// Sections, with the words of an element (`text`: bytes, `classes`: 8 words).
    enum Section: Int, CaseIterable {
        case text, rules, arguments, nodes, ruleRefs, sourcedRefs, cells, patterns, programs, classes, subjects

        var elementSize: Int {
            switch self {
            case .text: 1
            case .rules: 32
            case .arguments: 8
            case .nodes: 32
            case .ruleRefs: 4
            case .sourcedRefs: 8
            case .cells: 24
            case .patterns: 24
            case .programs: 4
            case .classes: 32
            case .subjects: 16
            }
        }
    }

    /// Which of the key spaces a cell belongs to.
    enum Table: UInt32, CaseIterable {
        case exactProcess, exactFile, directoryProcess, directoryFile, execname, patternsProcess, patternsFile
        case source, protocolNumber, socketType, domain, capability, systemCall
    }

    /// Flags of a rule.
    enum Flag {
        static let ownerOnly: UInt32 = 1
        static let readOnly: UInt32 = 2
        static let noTerminal: UInt32 = 4
        static let recursive: UInt32 = 8
        static let sourceBound: UInt32 = 16
    }

    /// The last word of a pattern that holds for every source; else it is the source's number plus one.
    static let anySource: UInt32 = 0

    /// Most instructions of one pattern: its states fit four words.
    static let maxProgram = 256
}

/// The keyed hash of snapshot keys: taken byte by byte, so that the hash of every ancestor directory falls out of one pass
/// over a path. The key is drawn at compile time; a chooser of file names does not know it.
struct KeyHash {
    private(set) var state: UInt64

    @inline(__always)
    init(seed: UInt64) { state = seed ^ 0x9E37_79B9_7F4A_7C15 }

    @inline(__always)
    mutating func add(_ byte: UInt8) {
        state = (state ^ UInt64(byte)) &* 0x9FB2_1C65_1E98_DF25
        state ^= state >> 29
    }

    @inline(__always)
    func value(_ table: SnapshotLayout.Table) -> UInt64 {
        var x = state ^ (UInt64(table.rawValue) &+ 1) &* 0xD6E8_FEB8_6659_FD93
        x ^= x >> 32
        x &*= 0xD6E8_FEB8_6659_FD93
        x ^= x >> 32
        return x
    }

    static func of(_ bytes: UnsafeRawBufferPointer, _ table: SnapshotLayout.Table, seed: UInt64) -> UInt64 {
        var hash = KeyHash(seed: seed)
        for byte in bytes { hash.add(byte) }
        return hash.value(table)
    }

    /// The checksum of a snapshot's bytes behind the checksum field.
    static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var a: UInt64 = 0x243F_6A88_85A3_08D3
        var offset = 0
        while offset + 8 <= bytes.count {
            a = (a ^ bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) &* 0x9FB2_1C65_1E98_DF25
            a ^= a >> 32
            offset += 8
        }
        while offset < bytes.count {
            a = (a ^ UInt64(bytes[offset])) &* 0x9FB2_1C65_1E98_DF25
            a ^= a >> 32
            offset += 1
        }
        return a
    }
}

import Glibc
import PolicyModel

extension Snapshot {
    typealias NodeWord = SnapshotLayout.NodeWord
    typealias NodeFlag = SnapshotLayout.NodeFlag
    typealias RecordWord = SnapshotLayout.RecordWord
    typealias RecordFlag = SnapshotLayout.RecordFlag

    /// The node of a key, or -1. Looks at `maxProbe` slots at most.
    @inline(__always)
    func find(_ hash: UInt64, _ space: UInt32, _ key: UnsafeRawPointer, _ count: Int) -> Int {
        var slot = Int(truncatingIfNeeded: hash &>> 32) & slotMask
        var probe = 0
        while probe < SnapshotLayout.maxProbe {
            let entry = slots.long(at: slot &* 8)
            let node = UInt32(truncatingIfNeeded: entry &>> 32)
            if node == SnapshotLayout.none { return -1 }
            if UInt32(truncatingIfNeeded: entry) == UInt32(truncatingIfNeeded: hash) {
                let words = nodes + Int(node) &* NodeWord.size
                if words.word(at: 4 &* NodeWord.space) == space, Int(words.word(at: 4 &* NodeWord.textLength)) == count,
                    memcmp(text + Int(words.word(at: 4 &* NodeWord.text)), key, count) == 0
                {
                    return Int(node)
                }
            }
            slot = (slot &+ 1) & slotMask
            probe &+= 1
        }
        return -1
    }

    /// The node of a key, or -1.
    func find(_ key: UnsafeRawBufferPointer, _ space: UInt32) -> Int {
        guard let start = key.baseAddress else { return -1 }
        return find(hash.hash(key, space), space, start, key.count)
    }

    /// The node of a source, or `none` if no rule names it.
    func source(_ path: UnsafeRawBufferPointer) -> UInt32 { UInt32(truncatingIfNeeded: find(path, KeySpace.source)) }

    @inline(__always)
    func nodeWord(_ node: Int, _ word: Int) -> UInt32 { nodes.word(at: node &* NodeWord.size &+ 4 &* word) }

    @inline(__always)
    func nodeFlags(_ node: Int) -> UInt32 { nodeWord(node, NodeWord.flags) }

    /// The records that a node holds for one source.
    @inline(__always)
    func bound(_ node: Int, _ kind: UInt32, _ source: UInt32) -> RecordRange {
        let key = UInt32(truncatingIfNeeded: node) &<< 2 | kind
        let hash = hash.hash(pair: key, source)
        var slot = Int(truncatingIfNeeded: hash &>> 32) & pairMask
        var probe = 0
        while probe < SnapshotLayout.maxProbe {
            let entry = pairs + slot &* 16
            let found = entry.word(at: 0)
            if found == SnapshotLayout.none { break }
            if found == key, entry.word(at: 4) == source {
                return RecordRange(start: Int(entry.word(at: 8)), count: Int(entry.word(at: 12)))
            }
            slot = (slot &+ 1) & pairMask
            probe &+= 1
        }
        return RecordRange(start: 0, count: 0)
    }

    /// A node's Audit records without source.
    @inline(__always)
    func audits(_ node: Int, _ word: Int) -> RecordRange {
        RecordRange(start: Int(nodeWord(node, word)), count: Int(nodeWord(node, word &+ 1)))
    }

    @inline(__always)
    func recordWord(_ record: Int, _ word: Int) -> UInt32 { records.word(at: record &* RecordWord.size &+ 4 &* word) }

    @inline(__always)
    func ruleID(_ record: Int) -> RuleID { RuleID(rawValue: recordWord(record, RecordWord.rule)) }

    /// A string of a record.
    @inline(__always)
    func string(_ index: Int) -> (start: UnsafeRawPointer, length: UInt32) {
        (text + Int(strings.word(at: index &* 8)), strings.word(at: index &* 8 &+ 4))
    }

    /// What an operation comes to that no rule matches.
    func unmatched(_ category: Category) -> Verdict {
        guard isAllowList(category) else { return .allowed }
        switch posture(category) {
        case .allow: return .allowed
        case .audit: return Verdict(effect: .audit, rule: .defaultPosture)
        case .block: return Verdict(effect: .block, rule: .defaultPosture)
        }
    }
}

/// Neighbouring records.
struct RecordRange {
    var start: Int
    var count: Int
}

import Testing

@testable import PolicyEngine

/// Snapshots in which every single reference is good, but which would take long to read or hide a rule. Each is refused.
@Suite("SnapshotFuzz forgeries")
struct SnapshotForgeryTests {
    private typealias Field = SnapshotLayout.Field

    /// A snapshot in the making of a forgery.
    struct Forgery {
        var bytes: [UInt8]

        func word(_ offset: Int) -> UInt32 { bytes.withUnsafeBytes { $0.baseAddress?.word(at: offset) ?? 0 } }

        mutating func set(_ word: UInt32, at offset: Int) {
            withUnsafeBytes(of: word.littleEndian) { for index in 0..<4 { bytes[offset + index] = $0[index] } }
        }

        func offset(_ section: SnapshotLayout.Section) -> Int { Int(word(Field.sections + section.rawValue * 8)) }

        func count(_ section: SnapshotLayout.Section) -> Int { Int(word(Field.sections + section.rawValue * 8 + 4)) }

        /// The reason why it is refused, once its checksum is right.
        mutating func refusal() -> String? {
            SnapshotExercise.seal(&bytes)
            return bytes.withUnsafeBytes { raw in
                do {
                    _ = try Snapshot(validating: raw)
                    return nil
                } catch { return "\(error)" }
            }
        }
    }

    private static func everything() throws -> Forgery {
        Forgery(
            bytes: try EngineScript(
                [
                    "block file glob:/var/*.log", "block file glob:/opt/*x", "audit file /etc/ from=/bin/a",
                    "block tcp",
                    "audit file /etc/hosts", "audit file /etc/fstab",
                ], seed: 1
            ).compiled.bytes)
    }

    @Test func aChunkOfTwoBucketsIsRefused() throws {
        var forgery = try Self.everything()
        #expect(forgery.refusal() == nil && forgery.count(.chunkOffsets) == 2)
        let offsets = forgery.offset(.chunkOffsets)
        forgery.set(forgery.word(offsets), at: offsets + 4)
        #expect(forgery.refusal() == "the patterns are inconsistent")
    }

    @Test func bucketsWithTheSameChunksAreRefused() throws {
        var forgery = try Self.everything()
        #expect(forgery.count(.buckets) == 2)
        forgery.set(0, at: forgery.offset(.buckets) + 16 + 8)
        #expect(forgery.refusal() == "the buckets are inconsistent")
    }

    @Test func aNodeInTwoSlotsInsteadOfAnotherIsRefused() throws {
        let forgery = try Self.everything()
        let slots = forgery.offset(.slots)
        let filled = (0..<forgery.count(.slots)).filter {
            forgery.word(slots + $0 * 8 + 4) != SnapshotLayout.none
        }
        #expect(filled.count >= 4)
        // Of any two, so of two neighbours as well, where both places are on the first one's way.
        for from in filled {
            for to in filled where to != from {
                var copy = forgery
                copy.set(forgery.word(slots + from * 8), at: slots + to * 8)
                copy.set(forgery.word(slots + from * 8 + 4), at: slots + to * 8 + 4)
                #expect(copy.refusal() == "the slots are inconsistent")
            }
        }
    }

    @Test func recordsOfTwoOwnersAreRefused() throws {
        var forgery = try Self.everything()
        let nodes = forgery.offset(.nodes)
        let records = UInt32(forgery.count(.records))
        let audits = 4 * SnapshotLayout.NodeWord.exactAudits
        let owners = (0..<forgery.count(.nodes)).map { nodes + $0 * SnapshotLayout.NodeWord.size + audits }
            .filter { forgery.word($0 + 4) == 1 }
        #expect(owners.count == 2)
        for owner in owners {
            forgery.set(0, at: owner)
            forgery.set(records, at: owner + 4)
        }
        #expect(forgery.refusal() == "the records are inconsistent")
    }
}

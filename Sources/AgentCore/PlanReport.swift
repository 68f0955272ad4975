import FileEnforcement
import PolicyEngine

/// Plan notes as they travel from worker to front: workload, rule id and gap, thirteen bytes each.
package enum PlanReport {
    private static let size = 13

    package static func encode(_ notes: [UInt64: [PlanNote]]) -> [UInt8] {
        notes.sorted { $0.key < $1.key }.flatMap { workload, notes in
            notes.flatMap { note -> [UInt8] in
                bytes(workload, 8) + bytes(UInt64(note.rule.rawValue), 4) + [note.gap.rawValue]
            }
        }
    }

    package static func decode(_ bytes: [UInt8]) -> [UInt64: [PlanNote]] {
        var result: [UInt64: [PlanNote]] = [:]
        for start in stride(from: 0, to: bytes.count - bytes.count % size, by: size) {
            guard let gap = PlanNote.Gap(rawValue: bytes[start + 12]) else { continue }
            let rule = RuleID(rawValue: UInt32(truncatingIfNeeded: number(bytes[(start + 8)..<(start + 12)])))
            result[number(bytes[start..<(start + 8)]), default: []].append(PlanNote(rule: rule, gap: gap))
        }
        return result
    }

    private static func bytes(_ value: UInt64, _ count: UInt64) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}

import PolicyModel

/// The numbers of presets in a snapshot.
enum PresetCode {
    static func number(_ name: PresetName) -> UInt32 {
        switch name {
        case .filelessExec: 0
        case .anonymousMapExec: 1
        case .protectEnv: 2
        case .protectProc: 3
        case .exec: 4
        }
    }

    /// The first word of a header entry.
    static func word(_ name: PresetName, audits: Bool) -> UInt32 { number(name) | (audits ? 0x100 : 0) }
}

extension Snapshot {
    /// The first preset with the asked-for action that the operation meets: a verdict, or what must be known to tell, or
    /// an undecided allow without rule.
    func preset(_ operation: ObjectOperation, auditing: Bool) -> Verdict {
        for index in 0..<presetCount {
            let entry = header + SnapshotLayout.Field.presets + index &* 8
            let code = entry.word(at: 0)
            guard (code & 0x100 != 0) == auditing else { continue }
            let answer = meets(code & 0xFF, operation)
            if !answer.missing.isEmpty { return .needs(answer.missing) }
            if answer.denies {
                return Verdict(effect: auditing ? .audit : .block, rule: RuleID(rawValue: entry.word(at: 4)))
            }
        }
        return .allowed
    }

    /// Whether a policy has a preset.
    public func has(_ name: PresetName) -> Bool {
        presetEntry(name, auditing: false) != nil || presetEntry(name, auditing: true) != nil
    }

    /// The verdict on mapping memory that is no file's and can be executed (mmap(2) with MAP_ANONYMOUS and PROT_EXEC).
    public var anonymousMapVerdict: Verdict {
        if let rule = presetEntry(.anonymousMapExec, auditing: false) { return Verdict(effect: .block, rule: rule) }
        if let rule = presetEntry(.anonymousMapExec, auditing: true) { return Verdict(effect: .audit, rule: rule) }
        return .allowed
    }

    private func presetEntry(_ name: PresetName, auditing: Bool) -> RuleID? {
        for index in 0..<presetCount {
            let entry = header + SnapshotLayout.Field.presets + index &* 8
            if entry.word(at: 0) == PresetCode.word(name, audits: auditing) {
                return RuleID(rawValue: entry.word(at: 4))
            }
        }
        return nil
    }

    private func meets(_ preset: UInt32, _ operation: ObjectOperation) -> Denial {
        let path = operation.path
        switch (preset, operation.category) {
        case (0, .process):
            return Denial(
                denies: Self.begins(path, "/dev/shm/", at: 0) || Self.begins(path, "/run/shm/", at: 0)
                    || Self.begins(path, "memfd:", at: Self.nameStart(path)))
        case (2, .file):
            return entersForeignProcess(operation, environmentOnly: true)
        case (3, .file):
            return entersForeignProcess(operation, environmentOnly: false)
        case (4, .process):
            // Either fact may settle it.
            if operation.known.contains(.process), !operation.enteredWorkload { return Denial(denies: false) }
            if operation.known.contains(.terminal), !operation.hasTerminal { return Denial(denies: false) }
            let missing = FactSet([.process, .terminal]).subtracting(operation.known)
            return Denial(denies: missing.isEmpty, missing: missing)
        default: return Denial(denies: false)
        }
    }

    /// `/proc/<digits>/…` of another process than the caller's.
    private func entersForeignProcess(_ operation: ObjectOperation, environmentOnly: Bool) -> Denial {
        let path = operation.path
        guard Self.begins(path, "/proc/", at: 0) else { return Denial(denies: false) }
        var end = 6
        while end < path.count, path[end] >= 0x30, path[end] <= 0x39 { end &+= 1 }
        guard end > 6, end &+ 1 < path.count, path[end] == UInt8(ascii: "/") else { return Denial(denies: false) }
        if environmentOnly {
            guard path.count &- end == 8, Self.begins(path, "/environ", at: end) else { return Denial(denies: false) }
        }
        guard operation.known.contains(.process) else { return Denial(denies: false, missing: .process) }
        return Denial(denies: !Self.isDecimal(path, 6, end, operation.pid))
    }

    /// Whether the digits are the number as it is written, without leading zeros.
    private static func isDecimal(_ path: UnsafeRawBufferPointer, _ start: Int, _ end: Int, _ number: Int32) -> Bool {
        guard number >= 0 else { return false }
        var rest = number
        var index = end
        repeat {
            index &-= 1
            guard index >= start, Int32(path[index]) &- 0x30 == rest % 10 else { return false }
            rest /= 10
        } while rest > 0
        return index == start
    }

    private static func nameStart(_ path: UnsafeRawBufferPointer) -> Int {
        var index = path.count
        while index > 0, path[index &- 1] != UInt8(ascii: "/") { index &-= 1 }
        return index
    }

    private static func begins(_ path: UnsafeRawBufferPointer, _ prefix: StaticString, at start: Int) -> Bool {
        guard path.count &- start >= prefix.utf8CodeUnitCount else { return false }
        for index in 0..<prefix.utf8CodeUnitCount where path[start &+ index] != prefix.utf8Start[index] {
            return false
        }
        return true
    }
}

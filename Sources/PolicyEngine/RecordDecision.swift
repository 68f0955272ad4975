import Glibc

/// What a rule says once it decides: denies or not, or what must be known first.
struct Denial {
    var denies: Bool
    var missing: FactSet = []
}

extension Snapshot {
    /// What a record says about an operation that it matches. An Audit record speaks as if it said Block.
    ///
    /// Facts are only asked for if the answer depends on them, given what is known.
    func denial(_ record: Int, _ operation: ObjectOperation) -> Denial {
        let flags = recordWord(record, RecordWord.flags)
        guard recordWord(record, RecordWord.stringCount) > 0, operation.category == .process else {
            return qualified(flags, operation)
        }
        // Listed arguments permit, and nothing else can take that back; unlisted ones say nothing.
        if operation.known.contains(.arguments) {
            return lists(record, operation.arguments) ? Denial(denies: false) : qualified(flags, operation)
        }
        let otherwise = qualified(flags, operation)
        return otherwise.missing.isEmpty && otherwise.denies ? Denial(denies: false, missing: .arguments) : otherwise
    }

    @inline(__always)
    private func qualified(_ flags: UInt32, _ operation: ObjectOperation) -> Denial {
        guard flags & RecordFlag.noTerminal != 0 else { return unterminaled(flags, operation) }
        if operation.known.contains(.terminal) {
            if operation.hasTerminal { return Denial(denies: true) }
            return flags & RecordFlag.allows == 0 ? Denial(denies: false) : unterminaled(flags, operation)
        }
        if flags & RecordFlag.allows != 0 {
            let otherwise = unterminaled(flags, operation)
            if otherwise.missing.isEmpty && otherwise.denies { return otherwise }
        }
        return Denial(denies: false, missing: .terminal)
    }

    /// The rest of the qualifiers, behind `pts`.
    @inline(__always)
    private func unterminaled(_ flags: UInt32, _ operation: ObjectOperation) -> Denial {
        let readOnly = flags & RecordFlag.readOnly != 0
        if flags & RecordFlag.ownerOnly != 0 {
            if operation.known.contains(.ownership) {
                if !operation.isOwner { return Denial(denies: true) }
                return readOnly ? writing(operation) : Denial(denies: false)
            }
            if readOnly, operation.known.contains(.write), operation.isWrite { return Denial(denies: true) }
            return Denial(denies: false, missing: .ownership)
        }
        return readOnly ? writing(operation) : Denial(denies: flags & RecordFlag.allows == 0)
    }

    @inline(__always)
    private func writing(_ operation: ObjectOperation) -> Denial {
        operation.known.contains(.write)
            ? Denial(denies: operation.isWrite) : Denial(denies: false, missing: .write)
    }

    /// Whether the record's list has what argv asks for: every argument after the first of 2…20, or the only one.
    private func lists(_ record: Int, _ arguments: UnsafeRawBufferPointer) -> Bool {
        guard let base = arguments.baseAddress else { return false }
        var count = 0
        var start = 0
        var firstIsListed = false
        while start < arguments.count {
            var end = start
            while end < arguments.count, arguments[end] != 0 { end &+= 1 }
            count &+= 1
            let isListed = lists(record, base + start, end &- start)
            if count == 1 {
                firstIsListed = isListed
            } else if !isListed || count > 20 {
                return false
            }
            start = end &+ 1
        }
        return count == 1 ? firstIsListed : count > 1
    }

    private func lists(_ record: Int, _ argument: UnsafeRawPointer, _ length: Int) -> Bool {
        let first = Int(recordWord(record, RecordWord.strings))
        for index in first..<(first &+ Int(recordWord(record, RecordWord.stringCount))) {
            let listed = string(index)
            if Int(listed.length) == length, memcmp(listed.start, argument, length) == 0 { return true }
        }
        return false
    }

    /// The first record of a range that fires as Audit, among those whose recursive flag is `recursion` (`nil`: all);
    /// or what must be known to tell.
    @inline(__always)
    func firstFiring(_ range: RecordRange, recursion: UInt32?, _ operation: ObjectOperation) -> Verdict? {
        var record = range.start
        let end = range.start &+ range.count
        while record < end {
            if recursion.map({ $0 == recordWord(record, RecordWord.flags) & RecordFlag.recursive }) ?? true {
                let denial = denial(record, operation)
                if !denial.missing.isEmpty { return .needs(denial.missing) }
                if denial.denies { return Verdict(effect: .audit, rule: ruleID(record)) }
            }
            record &+= 1
        }
        return nil
    }
}

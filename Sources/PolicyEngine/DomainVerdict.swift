extension Snapshot {
    /// The verdict on a DNS query; the name in any case, with or without a trailing dot.
    public func dnsVerdict(name: UnsafeRawBufferPointer, source: UnsafeRawBufferPointer?) -> Verdict {
        guard hasRules(in: .dns) else { return .allowed }
        var length = name.count
        if length > 0, name[length - 1] == UInt8(ascii: ".") { length -= 1 }
        // A name in presentation form is at most 1 004 bytes long (RFC 1035 5.1: `\DDD` for each of 250); none is longer.
        guard length > 0, length <= 1_024 else { return unmatched(.dns) }
        return withUnsafeTemporaryAllocation(byteCount: 1_024, alignment: 8) { buffer in
            for index in 0..<length {
                let byte = name[index]
                buffer[index] = byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
            }
            return dnsVerdict(lowered: UnsafeRawBufferPointer(rebasing: buffer[..<length]), source)
        }
    }

    private func dnsVerdict(lowered name: UnsafeRawBufferPointer, _ source: UnsafeRawBufferPointer?) -> Verdict {
        var operation = KeyedOperation(source: source)
        var bound: KeyedRecord?
        var own: KeyedRecord?
        // The nearest comes last.
        forEachDomain(name) { node in
            bound = boundRecord(node, &operation) ?? bound
            own = ownRecord(node) ?? own
        }
        var verdict = unmatched(.dns)
        if let deciding = bound ?? own {
            guard deciding.missing.isEmpty else { return .needs(deciding.missing) }
            verdict = self.verdict(deciding.record, operation)
        }
        guard verdict.effect != .block, audited >> UInt32(Category.dns.rawValue) & 1 == 1 else { return verdict }
        var boundAudit: Verdict?
        var ownAudit: Verdict?
        forEachDomain(name) { node in
            boundAudit = self.boundAudit(node, &operation) ?? boundAudit
            ownAudit = self.ownAudit(node, operation) ?? ownAudit
        }
        return boundAudit ?? ownAudit ?? verdict
    }

    /// Calls `body` with the node of each domain that has one, the name itself last.
    @inline(__always)
    private func forEachDomain(_ name: UnsafeRawBufferPointer, _ body: (Int) -> Void) {
        guard let start = name.baseAddress else { return }
        let whole = hash.walkDomain(name) { offset, hash in
            let node = find(hash, KeySpace.domain, start + offset, name.count &- offset)
            if node >= 0 { body(node) }
        }
        let node = find(whole, KeySpace.domain, start, name.count)
        if node >= 0 { body(node) }
    }
}

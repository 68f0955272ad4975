import PolicyEngine

/// The rulesets of the host and of containers, as they travel with the snapshots of the same generation.
public struct NetworkBundle: Sendable, Equatable {
    /// By workload; those without rules need not be there.
    public var rulesets: [UInt64: Ruleset]

    /// Collects rulesets.
    public init(_ rulesets: [UInt64: Ruleset] = [:]) { self.rulesets = rulesets.filter { !$0.value.isEmpty } }

    /// The bytes; none without rules.
    public func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        func append(_ value: UInt64) { withUnsafeBytes(of: value.littleEndian) { bytes += $0 } }
        for (workload, ruleset) in rulesets.sorted(by: { $0.key < $1.key }) {
            let part = RulesetCoding.encode(ruleset)
            append(workload)
            append(UInt64(part.count))
            bytes += part
        }
        return bytes
    }

    /// Reads them back.
    public init(decoding bytes: UnsafeRawBufferPointer) throws(RulesetCoding.Failure) {
        rulesets = [:]
        var offset = 0
        while offset < bytes.count {
            guard bytes.count - offset >= 16 else { throw .length }
            let workload = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            let length = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self))
            offset += 16
            guard length <= UInt64(bytes.count - offset) else { throw .length }
            guard rulesets[workload] == nil else { throw .value("workload") }
            rulesets[workload] = try RulesetCoding.decode(
                UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + Int(length)]))
            offset += Int(length)
        }
    }
}

import LinuxKernel
import PolicyEngine

extension CapabilitySet {
    /// The capabilities that nobody in a supervised tree may use, whatever executable asks: they are dropped when it is started.
    /// Rules with `fromSource` depend on who asks and are not among them.
    public init(blockedBy snapshot: Snapshot) {
        var bits: UInt64 = 0
        for number in 0..<UInt8(64) {
            let verdict = snapshot.capabilityVerdict(number, source: nil)
            if verdict.missing.isEmpty && verdict.effect == .block { bits |= 1 << UInt64(number) }
        }
        self.init(rawValue: bits)
    }
}

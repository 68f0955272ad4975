import PolicyEngine

/// Operations of the categories without objects, over buffers that live as long as the program.
struct OtherOperations {
    private let source = Operations.permanent("/usr/bin/agent-19")
    private let domain = Operations.permanent("One.Two.example.COM.")
    private let call = Operations.permanent("unlink")
    private let path = Operations.permanent("/etc/component/file")

    /// Asks for `repetitions` verdicts of each category.
    @inline(never)
    func run(_ snapshot: Snapshot, repetitions: Int) -> UInt64 {
        var sum: UInt64 = 0
        for repetition in 0..<repetitions {
            let source = repetition & 1 == 0 ? source : nil
            let verdicts = (
                snapshot.protocolVerdict(
                    type: 1, protocolNumber: Int32(repetition & 7), isInternet: true, source: source, hasTerminal: true),
                snapshot.dnsVerdict(name: domain, source: source),
                snapshot.capabilityVerdict(UInt8(repetition & 15), source: source),
                snapshot.syscallVerdict(name: call, path: path, source: source)
            )
            sum &+= UInt64(verdicts.0.rule.rawValue) &+ UInt64(verdicts.1.rule.rawValue)
            sum &+= UInt64(verdicts.2.rule.rawValue) &+ UInt64(verdicts.3.rule.rawValue)
        }
        return sum
    }
}

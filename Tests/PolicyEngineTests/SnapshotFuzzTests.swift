import PolicyModel
import Testing

@testable import PolicyEngine

/// The snapshot reader meets bytes that are not what the compiler wrote: it refuses them, or reads them safely to an end.
@Suite("SnapshotFuzz")
struct SnapshotFuzzTests {
    private static func compiled() throws -> [UInt8] {
        let position = SourcePosition(file: "t", line: 1, column: 1)
        var policy = Policy(kind: .host, name: "p", position: position)
        let block = RuleAttributes(action: .block)
        let subjects: [PathSubject] = [
            .path("/etc/shadow"), .directory("/etc/", recursive: true), .directory("/tmp/", recursive: false),
            .pattern("/var/**/{a,b}[0-9]*.log"), .pattern("/var/**/" + String(repeating: "?x", count: 40) + "*"),
        ]
        for (number, subject) in subjects.enumerated() {
            var rule = FileRule(subject: subject, attributes: block, position: position)
            rule.sources = number % 2 == 0 ? ["/bin/cat", "/bin/dog"] : []
            rule.readOnly = number == 1
            policy.file.append(rule)
            var audit = ProcessRule(subject: subject, attributes: RuleAttributes(action: .audit), position: position)
            audit.allowedArguments = ["-x", "-y"]
            policy.process.append(audit)
        }
        policy.process.append(ProcessRule(subject: .execname("nc"), attributes: block, position: position))
        policy.presets = [PresetRule(name: .protectEnv, attributes: block, position: position)]
        policy.dns = [DNSRule(domain: "evil.test", attributes: block, position: position)]
        policy.protocols = [ProtocolRule(name: .tcp, attributes: block, position: position)]
        policy.capabilities = [CapabilityRule(capability: 13, name: "net_raw", attributes: block, position: position)]
        policy.syscalls = [
            SyscallRule(syscalls: ["/etc/shadow", "mount"], path: "/etc/", attributes: block, position: position)
        ]
        policy.syscalls[0].sources = [.init(path: "/etc/", recursive: true), .init(path: "/bin/nc")]
        return try SnapshotCompiler().compile(policies: [policy], postures: Postures(), generation: 3).bytes
    }

    @Test func everyTruncationIsRefused() throws {
        let bytes = try Self.compiled()
        for length in 0..<bytes.count {
            bytes.withUnsafeBytes { raw in
                _ = #expect(throws: SnapshotError.self) {
                    try Snapshot(validating: UnsafeRawBufferPointer(rebasing: raw[0..<length]))
                }
            }
        }
        #expect(bytes.withUnsafeBytes { SnapshotExercise.open($0) })
    }

    @Test func everyChangedByteIsNoticed() throws {
        var bytes = try Self.compiled()
        for index in bytes.indices {
            bytes[index] ^= 0x40
            bytes.withUnsafeBytes { raw in
                _ = #expect(throws: SnapshotError.self) { try Snapshot(validating: raw) }
            }
            bytes[index] ^= 0x40
        }
    }

    /// Somebody who can also mend the checksum still reaches nothing outside.
    @Test func hundredThousandForgedSnapshotsAreReadSafely() throws {
        let original = try Self.compiled()
        var state: UInt64 = 88_172_645_463_325_252
        func random(_ bound: Int) -> Int {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Int(state % UInt64(bound))
        }
        var accepted = 0
        for _ in 0..<100_000 {
            var bytes = original
            for _ in 0...random(3) {
                let at = 24 + random(bytes.count - 24)
                bytes[at] = random(3) == 0 ? 0xFF : UInt8(random(256))
            }
            SnapshotExercise.seal(&bytes)
            bytes.withUnsafeBytes { raw in
                if let snapshot = try? Snapshot(validating: raw) {
                    accepted += 1
                    if accepted % 64 == 0 { SnapshotExercise.use(snapshot) }
                }
            }
        }
        // Most bytes are text, so many forgeries are snapshots; the reader must have been put to use.
        #expect(accepted > 1000)
    }
}

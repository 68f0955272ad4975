import PolicyEngine
import PolicyModel
import Testing

@testable import NetworkEnforcement

/// What is told of a packet that asks for names.
@Suite("Name rules")
struct NameRulesTests {
    private static let position = SourcePosition(file: "p", line: 1, column: 1)

    /// Keeps the bytes of a bundle where they are.
    private final class Memory: @unchecked Sendable {
        // Unchecked: nobody writes to it.
        let bytes: UnsafeRawBufferPointer

        init(_ bytes: [UInt8]) {
            let room = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 8)
            room.copyBytes(from: bytes)
            self.bytes = UnsafeRawBufferPointer(room)
        }

        deinit { bytes.deallocate() }
    }

    private static func compiled() throws -> [UInt8] {
        var policy = Policy(kind: .host, name: "p", position: position)
        policy.dns = [("evil.test", RuleAction.block), ("seen.test", .audit)].map {
            DNSRule(domain: $0, attributes: RuleAttributes(action: $1), position: position)
        }
        return try SnapshotCompiler(seed: 1).compile(policies: [policy], postures: Postures(), generation: 1).bytes
    }

    private static func rules(of part: UInt64 = SnapshotBundle.host) throws -> NameRules {
        let memory = Memory(SnapshotBundle.encode([(part, try compiled())]))
        return NameRules(
            try SnapshotBundle(validating: memory.bytes, hasHost: part == SnapshotBundle.host), keptBy: memory)
    }

    private static func query(_ names: String...) -> [UInt8] {
        [0, 1, 1, 0, 0, UInt8(names.count), 0, 0, 0, 0, 0, 0]
            + names.flatMap { name in
                name.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0, 0, 1, 0, 1]
            }
    }

    private static func told(_ content: [UInt8], isStream: Bool = false, blockedBy: UInt32? = nil) throws -> [String] {
        let rules = try rules()
        return content.withUnsafeBytes { bytes in
            rules.findings(
                bytes, isStream: isStream, blockedBy: blockedBy.map(RuleID.init(rawValue:)),
                of: NameRules.Owner(generation: 1, workload: SnapshotBundle.host)
            ).map {
                "\(String(decoding: $0.name, as: UTF8.self)) \($0.rule.rawValue)\($0.isForbidden ? " forbidden" : "")"
            }
        }
    }

    /// A container's packets tell of a set's generation, whichever bundle it came in.
    @Test func aContainerHasTheRulesOfItsSet() throws {
        let container = SnapshotBundle.container(7)
        let rules = try Self.rules(of: SnapshotBundle.set(1))
        #expect(rules.has(NameRules.Owner(generation: 1, workload: container)))
        #expect(!rules.has(NameRules.Owner(generation: 2, workload: container)))
        #expect(!rules.has(NameRules.Owner(generation: 1, workload: SnapshotBundle.host)))
        let host = try Self.rules()
        #expect(host.has(NameRules.Owner(generation: 1, workload: SnapshotBundle.host)))
        #expect(!host.has(NameRules.Owner(generation: 1, workload: container)))
        #expect(!rules.isEmpty && NameRules().isEmpty)
    }

    @Test func everyNameCounts() throws {
        #expect(try Self.told(Self.query("a.test", "www.seen.test")) == ["www.seen.test 1"])
        #expect(try Self.told(Self.query("evil.test", "seen.test")) == ["evil.test 0 forbidden", "seen.test 1"])
        #expect(try Self.told(Self.query("a.test")) == [])
        #expect(try Self.told([1, 2, 3]) == [])
    }

    /// The name that is told of is the one that the rule is about, and there is always one.
    @Test func whatWasRefusedIsTold() throws {
        #expect(try Self.told(Self.query("a.test", "b.evil.test"), blockedBy: 0) == ["b.evil.test 0 forbidden"])
        #expect(try Self.told(Self.query("a.test"), blockedBy: 0) == ["a.test 0 forbidden"])
        #expect(try Self.told([], blockedBy: 0) == ["? 0 forbidden"])
    }

    @Test func aStreamIsReadMessageByMessage() throws {
        let (first, second) = (Self.query("a.test"), Self.query("seen.test"))
        let stream = [0, UInt8(first.count)] + first + [0, UInt8(second.count)] + second
        #expect(try Self.told(stream, isStream: true) == ["seen.test 1"])
        // Its length came before it, alone.
        #expect(try Self.told(second, isStream: true) == ["seen.test 1"])
        #expect(try Self.told(Array(stream.dropLast(6)), isStream: true) == [])
    }
}

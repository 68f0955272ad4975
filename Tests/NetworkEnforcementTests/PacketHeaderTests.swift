import EventRing
import Testing

@testable import NetworkEnforcement

@Suite("Packet headers")
struct PacketHeaderTests {
    private static func flow(_ bytes: [UInt8]) -> PacketFlow? { bytes.withUnsafeBytes { PacketHeader.flow($0) } }

    static let tcp4: [UInt8] =
        [0x45, 0, 0, 60, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 9, 0, 1, 10, 9, 0, 2] + [0x1F, 0x90, 0, 22, 0, 0, 0, 0]
    static let udp6: [UInt8] =
        [0x60, 0, 0, 0, 0, 8, 17, 64] + [0xFD] + [UInt8](repeating: 0, count: 14) + [1]
        + [0xFD] + [UInt8](repeating: 0, count: 14) + [2] + [0, 53, 0x14, 0xE9]

    @Test func portsFollowTheAddresses() throws {
        let tcp = try #require(Self.flow(Self.tcp4))
        #expect(tcp.version == 4 && tcp.transport == 6 && tcp.sourcePort == 8080 && tcp.destinationPort == 22)
        #expect(tcp.source[3] == 1 && tcp.destination[3] == 2)
        let udp = try #require(Self.flow(Self.udp6))
        #expect(udp.version == 6 && udp.transport == 17 && udp.sourcePort == 53 && udp.destinationPort == 5353)
        #expect(udp.source[0] == 0xFD && udp.source[15] == 1 && udp.destination[15] == 2)
    }

    @Test func optionsAndExtensionsAreSteppedOver() throws {
        var options = Self.tcp4
        options[0] = 0x46
        options.insert(contentsOf: [1, 1, 1, 1], at: 20)
        #expect(Self.flow(options)?.destinationPort == 22)
        var extended = Self.udp6
        extended[6] = 0
        extended.insert(contentsOf: [43, 0, 0, 0, 0, 0, 0, 0] + [17, 1] + [UInt8](repeating: 0, count: 14), at: 40)
        #expect(Self.flow(extended)?.destinationPort == 5353)
    }

    @Test func aLaterFragmentHasNoPorts() throws {
        var fragment = Self.tcp4
        fragment[7] = 1
        #expect(Self.flow(fragment)?.destinationPort == 0)
        var six = Self.udp6
        six[6] = 44
        six.insert(contentsOf: [17, 0, 0, 8, 0, 0, 0, 0], at: 40)
        let flow = try #require(Self.flow(six))
        #expect(flow.transport == 17 && flow.destinationPort == 0)
    }

    @Test func whatIsNoPacketIsNoFlow() {
        #expect(Self.flow([]) == nil)
        #expect(Self.flow([0x45]) == nil)
        #expect(Self.flow([0x20] + Self.tcp4.dropFirst()) == nil)
        #expect(Self.flow([0x41] + Self.tcp4.dropFirst()) == nil)
    }

    /// Under the address sanitizer, and by the bounds of the buffers otherwise, a byte too far is a crash.
    @Test func anythingCanArrive() {
        var random = SystemRandomNumberGenerator()
        for sample in [Self.tcp4, Self.udp6] {
            for length in 0...sample.count { _ = Self.flow(Array(sample.prefix(length))) }
            for _ in 0..<20_000 {
                var bytes = sample
                for _ in 0..<Int.random(in: 1...4, using: &random) {
                    bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
                }
                let flow = Self.flow(Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &random))))
                #expect(flow.map { $0.version == 4 || $0.version == 6 } ?? true)
            }
        }
    }

    @Test func aFlowSurvivesItsRecord() throws {
        var flow = try #require(Self.flow(Self.udp6))
        flow.isIngress = true
        flow.origin = .quota
        flow.interface[0] = 0x65
        var bytes = [UInt8](repeating: 0xAA, count: PacketFlow.size)
        bytes.withUnsafeMutableBytes { flow.write(to: $0) }
        #expect(PacketFlow(bytes) == flow)
        #expect(PacketFlow(Array(bytes.dropLast())) == nil)
        bytes[2] = 5
        #expect(PacketFlow(bytes) == nil)
    }

    @Test func tagsAreReadAsTheyAreWritten() {
        func read(_ text: String) -> PacketTag? { Array(text.utf8).withUnsafeBytes { PacketTag($0) } }
        for effect in PacketTag.Effect.allCases {
            for tag in [
                PacketTag(generation: 1, rule: 0, effect: effect),
                PacketTag(generation: .max, rule: .max, effect: effect),
            ] {
                #expect(read(tag.text) == tag)
                // NF_LOG_PREFIXLEN with its NUL.
                #expect(tag.text.utf8.count < 128)
            }
        }
        for text in [
            "", "portcullis", "portcullis 1 2", "portcullis 1 2 x", "portcullis 1 2 b ", "portcullis  1 b",
            "Portcullis 1 2 b",
            "portcullis 1 4294967296 b", "portcullis 18446744073709551616 1 b", "portcullis -1 2 b",
            "kernel: portcullis 1 2 b", "portcullis 1 2 b x", "portcullis 1 2 b 1 ", "portcullis 1 2 b1",
        ] { #expect(read(text) == nil, "\(text)") }
    }

    private func isTold(_ memory: inout FlowMemory, _ flow: PacketFlow, rule: UInt32, now: UInt64) -> Bool {
        memory.isNew(flow, PacketTag(generation: 1, rule: rule, effect: .block), now: now)
    }

    @Test func aFlowIsToldOfOnce() throws {
        var memory = FlowMemory(capacity: 2)
        var flow = try #require(Self.flow(Self.tcp4))
        func now(_ seconds: UInt64) -> UInt64 { seconds * 1_000_000_000 }
        #expect(isTold(&memory, flow, rule: 1, now: now(1)) == true)
        #expect(isTold(&memory, flow, rule: 1, now: now(10)) == false)
        #expect(isTold(&memory, flow, rule: 2, now: now(10)) == true)
        #expect(isTold(&memory, flow, rule: 1, now: now(12)) == true)
        // Full: too many alerts rather than one too few.
        flow.sourcePort = 1
        #expect(isTold(&memory, flow, rule: 1, now: now(12)) == true)
        #expect(isTold(&memory, flow, rule: 1, now: now(12)) == true)
        var quotas = FlowMemory()
        flow.origin = .quota
        #expect(isTold(&quotas, flow, rule: 1, now: now(1)) == true)
        flow.sourcePort = 2
        #expect(isTold(&quotas, flow, rule: 1, now: now(1000)) == false)
        // Another workload with the same rules has a quota of its own.
        var other = PacketTag(generation: 1, rule: 1, effect: .block)
        other.workload = 2
        #expect(quotas.isNew(flow, other, now: now(1000)) == true)
        #expect(quotas.isNew(flow, other, now: now(1000)) == false)
        quotas.forgetQuotas()
        #expect(isTold(&quotas, flow, rule: 1, now: now(1001)) == true)
    }
}

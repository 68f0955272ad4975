import Foundation
import Testing

@testable import LinuxKernel

/// Datagrams of nfnetlink as the kernel sends them, and as nobody should.
@Suite("Netfilter messages")
struct NetfilterMessageTests {
    private static func word<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
        withUnsafeBytes(of: value) { Array($0) }
    }

    /// An attribute of netlink(7), filled up to four bytes.
    private static func attribute(_ type: UInt16, _ payload: [UInt8]) -> [UInt8] {
        word(UInt16(4 + payload.count)) + word(type) + payload + [UInt8](repeating: 0, count: -payload.count & 3)
    }

    private static func message(_ type: UInt16, family: UInt8 = 1, port: UInt32 = 0, _ attributes: [UInt8]...)
        -> [UInt8]
    {
        var body = [family, 0, 0, 0]
        for attribute in attributes { body += attribute }
        var message = word(UInt32(16 + body.count)) + word(type) + word(UInt16(0))
        message += word(UInt32(1)) + word(port)
        return message + body
    }

    private static func text(_ text: String) -> [UInt8] { Array(text.utf8) + [0] }

    // NFNL_SUBSYS_ULOG is 4, NFNL_SUBSYS_NFTABLES 10.
    private static let packet = message(
        0x400, attribute(1, [8, 0, 1, 0]), attribute(10, text("portcullis 1 2 b")),
        attribute(4, word(UInt32(3).bigEndian)), attribute(11, word(UInt32(1000).bigEndian)),
        attribute(12, word(UInt32(77).bigEndian)), attribute(9, [0x45, 1, 2, 3, 4]))
    private static let ruleChange = message(
        0xA06, port: 99, attribute(1, text("portcullis")), attribute(2, text("input")),
        attribute(3, word(UInt64(5).bigEndian)))
    private static let generation = message(
        0xA0F, family: 0, port: 99, attribute(1, word(UInt32(8).bigEndian)), attribute(2, word(UInt32(4321).bigEndian)),
        attribute(3, text("nft")))
    private static let chain = message(
        0xA03, attribute(1, text("portcullis")), attribute(2, word(UInt64(7).bigEndian)), attribute(3, text("rule-1")))

    // NFT_MSG_NEWOBJ is 18, NFT_OBJECT_QUOTA 2.
    private static let quota = message(
        0xA12, attribute(1, text("portcullis")), attribute(2, text("quota")), attribute(3, word(UInt32(2).bigEndian)),
        attribute(
            0x8004, attribute(1, word(UInt64(1024).bigEndian)) + attribute(4, word(UInt64(700).bigEndian))),
        attribute(6, word(UInt64(9).bigEndian)))

    private func packets(_ bytes: [UInt8]) -> (whole: Bool, packets: [(String, [UInt8], UInt32, UInt8, UInt32?)]) {
        var found: [(String, [UInt8], UInt32, UInt8, UInt32?)] = []
        let whole = bytes.withUnsafeBytes { buffer in
            LoggedPacket.parse(buffer) { packet in
                found.append(
                    (
                        String(decoding: packet.prefix, as: UTF8.self), Array(packet.payload), packet.input,
                        packet.hook, packet.uid
                    ))
            }
        }
        return (whole, found)
    }

    private func changes(_ bytes: [UInt8]) -> [NetfilterSocket.Change] {
        bytes.withUnsafeBytes { NetfilterSocket.parseChanges($0, table: "portcullis") }
    }

    private func chains(_ bytes: [UInt8], table: String = "portcullis") -> [NetfilterSocket.Item] {
        bytes.withUnsafeBytes { NetfilterSocket.parse($0, .chains, table: table) }
    }

    @Test func aLoggedPacketIsRead() {
        let (whole, found) = packets(Self.packet + Self.packet)
        #expect(whole && found.count == 2)
        guard let first = found.first else { return }
        #expect(first.0 == "portcullis 1 2 b" && first.1 == [0x45, 1, 2, 3, 4])
        #expect(first.2 == 3 && first.3 == 1 && first.4 == 1000)
    }

    @Test func aChangeIsRead() {
        let found = changes(Self.ruleChange + Self.generation)
        #expect(found.map(\.isInTable) == [true, false] && found.map(\.port) == [99, 99])
        #expect(found.last?.process == 4321 && found.last?.name == "nft" && found.last?.generation == 8)
        #expect(changes(Self.message(0xA06, attribute(1, Self.text("portcullis2")))).map(\.isInTable) == [false])
        #expect(
            changes(Self.message(0xA06, family: 2, Self.attribute(1, Self.text("portcullis")))).map(\.isInTable) == [
                false
            ])
    }

    private func attribute(_ type: UInt16, _ payload: [UInt8]) -> [UInt8] { Self.attribute(type, payload) }

    @Test func aListIsRead() {
        #expect(chains(Self.chain) == [NetfilterSocket.Item(name: "rule-1", handle: 7, limit: 0, used: 0)])
        #expect(chains(Self.chain, table: "other") == [])
        // NLMSG_ERROR, NLMSG_DONE and what follows them.
        let done = Self.message(3, [])
        #expect(chains(done + Self.chain) == [])
    }

    private static let folder: URL = {
        var url = URL(fileURLWithPath: #filePath)
        while url.path != "/", !FileManager.default.fileExists(atPath: url.appendingPathComponent("Package.swift").path)
        {
            url.deleteLastPathComponent()
        }
        return url.appendingPathComponent("FuzzTesting/NetlinkReply")
    }()

    /// `FUZZ_WRITE_CORPUS=1` writes the seeds anew.
    @Test func fuzzRegression() throws {
        if ProcessInfo.processInfo.environment["FUZZ_WRITE_CORPUS"] == "1" {
            for (name, bytes) in [
                ("packets", Self.packet + Self.packet), ("changes", Self.ruleChange + Self.generation),
                ("chains", Self.chain + Self.chain),
                ("quota", Self.quota), ("error", Self.message(2, Self.word(Int32(-4)))),
            ] {
                try Data(bytes).write(to: Self.folder.appendingPathComponent("Corpus/\(name).netlink"))
            }
        }
        for part in ["Corpus", "FailCases"] {
            let folder = Self.folder.appendingPathComponent(part)
            let inputs = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            if part == "Corpus" { #expect(inputs.count >= 5) }
            for name in inputs {
                let bytes = [UInt8](try Data(contentsOf: folder.appendingPathComponent(name)))
                #expect(NetlinkExercise.violation(bytes) == nil, "\(name)")
            }
        }
    }

    @Test func aQuotaIsRead() {
        let found = Self.quota.withUnsafeBytes { NetfilterSocket.parse($0, .quotas, table: "portcullis") }
        #expect(found == [NetfilterSocket.Item(name: "quota", handle: 9, limit: 1024, used: 700)])
    }

    /// Whatever arrives is read within its bounds: under the address sanitizer a byte too far is a crash (`make fuzz`), here it is
    /// at least no loop without end and no nonsense.
    @Test func anythingCanArrive() {
        var random = SystemRandomNumberGenerator()
        let samples = [Self.packet + Self.packet, Self.ruleChange + Self.generation, Self.chain + Self.chain]
        for sample in samples {
            for length in 0...sample.count { #expect(NetlinkExercise.violation(Array(sample.prefix(length))) == nil) }
            for _ in 0..<20_000 {
                var bytes = sample
                for _ in 0..<Int.random(in: 1...5, using: &random) {
                    bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
                }
                bytes = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &random)))
                if let violation = NetlinkExercise.violation(bytes) { Issue.record("\(violation): \(bytes)") }
            }
        }
    }
}

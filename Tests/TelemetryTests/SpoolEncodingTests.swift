import EventSpool
import Foundation
import Testing

@testable import Telemetry

/// The protobuf form of records, read back by a decoder that knows nothing but the wire format.
@Suite struct SpoolEncodingTests {
    /// A field of an encoded message.
    private enum Value: Equatable {
        case varint(UInt64)
        case bytes([UInt8])
    }

    private func decode(_ bytes: some Sequence<UInt8>) throws -> [(field: UInt64, value: Value)] {
        var rest = Array(bytes)[...]
        func varint() throws -> UInt64 {
            var (value, shift): (UInt64, UInt64) = (0, 0)
            while let byte = rest.popFirst() {
                value |= UInt64(byte & 0x7f) << shift
                if byte & 0x80 == 0 { return value }
                shift += 7
            }
            throw CocoaError(.coderReadCorrupt)
        }
        var fields: [(field: UInt64, value: Value)] = []
        while !rest.isEmpty {
            let tag = try varint()
            if tag & 7 == 0 {
                fields.append((tag >> 3, .varint(try varint())))
            } else {
                #expect(tag & 7 == 2)
                let length = Int(try varint())
                fields.append((tag >> 3, .bytes(Array(rest.prefix(length)))))
                rest = rest.dropFirst(length)
            }
        }
        return fields
    }

    private func text(_ fields: [(field: UInt64, value: Value)], _ number: UInt64) -> String? {
        guard case .bytes(let bytes)? = fields.first(where: { $0.field == number })?.value else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }

    @Test func alertsHaveTheFieldsOfTheProto() throws {
        let alert = Samples.builder.alert(
            for: Samples.processBlock, rule: Samples.hostBlock, workload: Samples.container)
        let line = AlertEncoder(.spool).encode(alert)
        #expect(line.first == SpoolKind.alert.rawValue)
        let fields = try decode(line.dropFirst())
        #expect(fields.contains { $0 == (1, .varint(1_779_770_817)) })
        #expect(text(fields, 2) == "2026-05-26T04:46:57.355927Z")
        #expect(text(fields, 5) == "multiubuntu" && text(fields, 8) == "ubuntu-1-container")
        #expect(fields.contains { $0 == (12, .varint(1000)) })
        #expect(text(fields, 13) == "hsp-secret" && text(fields, 14) == "5" && text(fields, 15) == "MITRE,NIST")
        #expect(text(fields, 18) == "/usr/bin/bash" && text(fields, 20) == "/usr/bin/apt update")
        #expect(fields.filter { $0.field == 30 }.count == 2)
        let owner = try #require(fields.first { $0.field == 31 })
        guard case .bytes(let bytes) = owner.value else { return }
        #expect(text(try decode(bytes), 1) == "Deployment")
        #expect(text(fields, 37) == "v0.1.0")
        #expect(fields.contains { $0 == (1006, .varint(7)) })
    }

    @Test func logsHaveNumbersOfTheirOwn() throws {
        var log = Samples.builder.alert(for: Samples.fileBlock, rule: Samples.hostBlock)
        log.kind = .log
        log.type = "HostLog"
        let line = AlertEncoder(.spool).encode(log)
        #expect(line.first == SpoolKind.log.rawValue)
        let fields = try decode(line.dropFirst())
        #expect(text(fields, 13) == "HostLog" && text(fields, 15) == "File" && text(fields, 16) == "/etc/secret/key")
        #expect(text(fields, 18) == "Permission denied" && text(fields, 34) == "ann")
        #expect(!fields.contains { (35..<1000).contains($0.field) })
    }

    /// Nothing dangerous is in a string, every string is UTF-8, and `Raw` has what was changed.
    @Test func hostileTextsAreHarmless() throws {
        for (name, alert) in Samples.all {
            let fields = try decode(AlertEncoder(.spool).encode(alert).dropFirst())
            for (number, value) in fields where ![31, 36, 43, 1011].contains(number) {
                guard case .bytes(let bytes) = value else { continue }
                let text = try #require(String(validating: bytes, as: UTF8.self), "\(name)")
                #expect(
                    text.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7f..<0xa0).contains($0.value) }, "\(name)")
                #expect(!text.unicodeScalars.contains { $0.properties.isBidiControl }, "\(name)")
            }
        }
        var hostile = Samples.fileBlock
        hostile.resource = Array("/tmp/a\n\u{1b}[2J".utf8) + [0xff] + Array("\u{202e}".utf8)
        let alert = Samples.builder.alert(for: hostile, rule: Samples.hostBlock)
        let fields = try decode(AlertEncoder(.spool).encode(alert).dropFirst())
        #expect(text(fields, 20) == "/tmp/a\\x0a\\x1b[2J\\xff\\u{202e}")
        let raw = try fields.filter { $0.field == 1011 }.map { field -> (String?, [UInt8]) in
            guard case .bytes(let bytes) = field.value else { return (nil, []) }
            let entry = try decode(bytes)
            guard case .bytes(let exact)? = entry.first(where: { $0.field == 2 })?.value else { return (nil, []) }
            return (text(entry, 1), exact)
        }
        #expect(raw.count == 1 && raw[0].0 == "Resource" && raw[0].1 == hostile.resource)
    }
}

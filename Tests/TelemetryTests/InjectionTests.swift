import Foundation
import Testing

@testable import Telemetry

/// Bypass corpus B36: names and arguments chosen to break the log, the terminal or the reader.
@Suite struct InjectionTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var bytes: [UInt8]
        /// What a JSON reader must get back.
        var decoded: String
        var needsRaw: Bool
        var testDescription: String { name }
    }

    static let cases: [Case] = [
        Case(
            name: "newline and object", bytes: Array("x\n{\"Action\":\"Allow\"}".utf8),
            decoded: "x\n{\"Action\":\"Allow\"}", needsRaw: true),
        Case(name: "clear screen", bytes: Array("\u{1b}[2J".utf8), decoded: "\u{1b}[2J", needsRaw: true),
        Case(
            name: "OSC 52", bytes: Array("\u{1b}]52;c;cm0gLXJm\u{07}".utf8), decoded: "\u{1b}]52;c;cm0gLXJm\u{07}",
            needsRaw: true),
        Case(
            name: "OSC title by C1", bytes: [0xc2, 0x9d] + Array("0;x".utf8) + [0xc2, 0x9c],
            decoded: "\u{9d}0;x\u{9c}", needsRaw: true),
        Case(name: "8-bit CSI", bytes: [0x9b] + Array("2J".utf8), decoded: "\u{fffd}2J", needsRaw: true),
        Case(
            name: "script", bytes: Array("<script>alert(1)</script>".utf8), decoded: "<script>alert(1)</script>",
            needsRaw: false),
        Case(name: "invalid bytes", bytes: [0x61, 0xff, 0xfe, 0x62], decoded: "a\u{fffd}\u{fffd}b", needsRaw: true),
        Case(name: "overlong slash", bytes: [0xc0, 0xaf], decoded: "\u{fffd}\u{fffd}", needsRaw: true),
        Case(
            name: "surrogate", bytes: [0xed, 0xa0, 0x80], decoded: "\u{fffd}\u{fffd}\u{fffd}", needsRaw: true),
        Case(name: "cut sequence", bytes: [0x61, 0xe2, 0x82], decoded: "a\u{fffd}", needsRaw: true),
        Case(
            name: "beyond Unicode", bytes: [0xf4, 0x90, 0x80, 0x80],
            decoded: "\u{fffd}\u{fffd}\u{fffd}\u{fffd}", needsRaw: true),
        Case(
            name: "bidi override", bytes: Array("a\u{202e}txt.exe\u{2066}".utf8), decoded: "a\u{202e}txt.exe\u{2066}",
            needsRaw: false),
        Case(name: "tag character", bytes: Array("a\u{e0041}".utf8), decoded: "a\u{e0041}", needsRaw: false),
        Case(
            name: "line separators", bytes: Array("a\u{2028}b\u{2029}c\u{85}".utf8),
            decoded: "a\u{2028}b\u{2029}c\u{85}", needsRaw: true),
        Case(name: "NUL", bytes: [0x61, 0, 0x62], decoded: "a\0b", needsRaw: true),
        Case(name: "DEL", bytes: [0x61, 0x7f], decoded: "a\u{7f}", needsRaw: true),
        Case(name: "quotes and backslashes", bytes: Array(#"\"\\x0a"#.utf8), decoded: #"\"\\x0a"#, needsRaw: false),
        Case(name: "all C0", bytes: Array(0..<32), decoded: String(decoding: 0..<32, as: UTF8.self), needsRaw: true),
        Case(name: "honest Unicode", bytes: Array("é漢😀".utf8), decoded: "é漢😀", needsRaw: false),
    ]

    private func hostileAlert(_ bytes: [UInt8]) -> Alert {
        var event = Samples.fileBlock
        event.resource = bytes
        event.aliasPath = bytes
        event.executable = bytes
        event.parentExecutable = bytes
        event.workingDirectory = bytes
        event.comm = bytes
        event.tty = bytes
        let text = String(decoding: bytes, as: UTF8.self)
        return Samples.builder.alert(
            for: event,
            rule: RuleMetadata(
                policyName: text, severity: 1, tags: [text], message: text, action: .block, isHostPolicy: true))
    }

    @Test(arguments: cases) func jsonIsOneCleanLineThatReadsBack(_ entry: Case) throws {
        let alert = hostileAlert(entry.bytes)
        for encoding in [AlertEncoding.camelCase, .daemon] {
            let line = AlertEncoder(encoding).encode(alert)
            expectHarmless(line, newlines: false)
            #expect(!line.contains(UInt8(ascii: "<")) && !line.contains(UInt8(ascii: "&")))
            let object = try #require(try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any])
            let key = encoding == .camelCase ? "Resource" : "resource"
            #expect(scalars(object[key]) == Array(entry.decoded.unicodeScalars))
            #expect(scalars(object["ResourceAlias"]) == Array(entry.decoded.unicodeScalars))
            #expect(object[encoding == .camelCase ? "Action" : "action"] as? String == "Block")
            for raw in [
                "ResourceRaw", "ResourceAliasRaw", "ProcessNameRaw", "ParentProcessNameRaw", "ExecutableNameRaw",
                "TTYRaw",
            ] {
                if entry.needsRaw {
                    let text = try #require(object[raw] as? String, "\(raw)")
                    #expect(decodeRaw(text) == entry.bytes, "\(raw)")
                } else {
                    #expect(object[raw] == nil, "\(raw)")
                }
            }
            if entry.needsRaw {
                #expect(decodeRaw(try #require(object["CwdRaw"] as? String)) == alert.cwd)
                #expect(decodeRaw(try #require(object["SourceRaw"] as? String)) == alert.source)
            }
        }
    }

    @Test(arguments: cases) func jsonDecoderReadsItToo(_ entry: Case) throws {
        struct Shape: Decodable {
            var Resource: String
            var PolicyName: String
            var ATags: [String]
            var ExecEvent: [String: String]
        }
        let line = AlertEncoder().encode(hostileAlert(entry.bytes))
        let shape = try JSONDecoder().decode(Shape.self, from: Data(line))
        #expect(Array(shape.Resource.unicodeScalars) == Array(entry.decoded.unicodeScalars))
        #expect(
            Array(shape.ExecEvent["ExecutableName", default: ""].unicodeScalars) == Array(entry.decoded.unicodeScalars))
        #expect(
            Array(shape.PolicyName.unicodeScalars) == Array(String(decoding: entry.bytes, as: UTF8.self).unicodeScalars)
        )
        #expect(shape.ATags.count == 1)
    }

    @Test(arguments: cases) func textKeepsItsLinesAndTheTerminalSafe(_ entry: Case) {
        let text = AlertEncoder(.text).encode(hostileAlert(entry.bytes))
        expectHarmless(text, newlines: true)
        let keys = text.split(separator: UInt8(ascii: "\n")).dropFirst().map { line in
            String(decoding: line.prefix { $0 != UInt8(ascii: ":") }, as: UTF8.self)
        }
        #expect(keys == Samples.textKeys, "a value made or broke a line")
        expectHarmless(TextFormatter.neutralise(entry.bytes), newlines: false)
    }

    @Test func textShowsWhatItHides() {
        #expect(TextFormatter.neutralise(Array("a\u{1b}[2J\n".utf8)) == Array(#"a\x1b[2J\x0a"#.utf8))
        #expect(TextFormatter.neutralise(Array("x\u{202e}y".utf8)) == Array(#"x\u{202e}y"#.utf8))
        #expect(TextFormatter.neutralise([0xc2, 0x9b, 0xff]) == Array(#"\xc2\x9b\xff"#.utf8))
        #expect(TextFormatter.neutralise(Array(#"\x1b"#.utf8)) == Array(#"\\x1b"#.utf8))
        #expect(TextFormatter.neutralise(Array("é😀 a".utf8)) == Array("é😀 a".utf8))
    }

    @Test func argumentsWithoutEndAreCut() throws {
        var event = Samples.processBlock
        event.setArguments([Samples.bytes("apt"), [UInt8](repeating: 0x41, count: 2 << 20)])
        let alert = Samples.builder.alert(for: event, rule: Samples.hostBlock)
        #expect(alert.resource.count == 8192)
        #expect(alert.isTruncated)
        let line = AlertEncoder().encode(alert)
        #expect(line.count < 16384)
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any])
        #expect(object["Truncated"] as? Bool == true)
        #expect((object["Resource"] as? String)?.hasPrefix("/usr/bin/apt AAAA") == true)
    }

    @Test func everyTextHasItsLimit() throws {
        let long = [UInt8](repeating: 0x1b, count: 1 << 20)
        var event = Samples.fileBlock
        event.setArguments([long, long])
        event.resource = long
        event.aliasPath = long
        event.executable = long
        event.parentExecutable = long
        event.workingDirectory = long
        event.comm = long
        event.tty = long
        let alert = Samples.builder.alert(for: event, rule: Samples.hostBlock)
        #expect(alert.resource.count == 4096 && alert.processName.count == 4096 && alert.source.count == 8192)
        #expect(alert.cwd.count == 4097 && alert.executableName.count == 64 && alert.tty.count == 64)
        #expect(alert.isTruncated)
        let line = AlertEncoder().encode(alert)
        // Five paths and a command line, each at most 6 bytes per byte escaped and 5 raw.
        #expect(line.count < 11 * (5 * 4100 + 8192) + 4096)
        _ = try JSONSerialization.jsonObject(with: Data(line))
    }

    @Test func limitsAreExact() {
        var event = Samples.fileBlock
        event.arguments = []
        for (length, isCut) in [(4095, false), (4096, false), (4097, true)] {
            event.resource = [UInt8](repeating: 0x61, count: length)
            let alert = Samples.builder.alert(for: event, rule: Samples.hostBlock)
            #expect(alert.isTruncated == isCut)
            #expect(alert.resource.count == min(length, 4096))
        }
        for (length, isCut) in [(8192 - 14, false), (8192 - 13, false), (8192 - 12, true)] {
            event.setArguments([[0x61], [UInt8](repeating: 0x62, count: length)])
            event.resource = [0x2f]
            let alert = Samples.builder.alert(for: event, rule: Samples.hostBlock)
            #expect(alert.isTruncated == isCut, "\(length)")
            #expect(alert.source.count == min(13 + length, 8192))
        }
    }

    @Test(arguments: ["é", "漢", "😀"]) func aCutNeverSplitsACharacter(_ character: String) {
        let text = Array(String(repeating: character, count: 10).utf8)
        for limit in 0...text.count {
            let cut = ScalarScanner.prefix(text, limit: limit)
            #expect(cut.count <= limit && limit - cut.count < character.utf8.count)
            #expect(String(validating: cut, as: UTF8.self) != nil)
        }
    }

    @Test func cuttingTextThatIsNotUTF8Terminates() {
        let continuation = [UInt8](repeating: 0x80, count: 10)
        #expect(ScalarScanner.prefix(continuation, limit: 5).count == 5)
        #expect(ScalarScanner.prefix(continuation, limit: 0).isEmpty)
    }

    /// The scanner against the standard library, on every pair of bytes and on random longer texts.
    @Test func scannerAgreesWithTheStandardLibrary() {
        var random = SystemRandomNumberGenerator()
        var inputs: [[UInt8]] = []
        for first in UInt8.min...UInt8.max { for second in UInt8.min...UInt8.max { inputs.append([first, second]) } }
        let interesting: [UInt8] = [
            0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0,
            0xf1, 0xf4, 0xf5, 0xff,
        ]
        for _ in 0..<20_000 {
            inputs.append((0..<6).map { _ in interesting.randomElement(using: &random) ?? 0 })
        }
        for input in inputs {
            var got = String.UnicodeScalarView()
            input.withUnsafeBufferPointer { bytes in
                var index = 0
                while index < bytes.count {
                    let (found, length) = ScalarScanner.classify(bytes, at: index)
                    switch found {
                    case .invalid: got.append("\u{fffd}")
                    case .plain, .control, .deceptive:
                        got.append(
                            contentsOf: String(decoding: bytes[index..<index + length], as: UTF8.self).unicodeScalars)
                    }
                    index += length
                }
            }
            let expected = String(decoding: input, as: UTF8.self).unicodeScalars
            guard Array(got) == Array(expected) else {
                Issue.record("\(input)")
                return
            }
        }
    }

    private func scalars(_ value: Any?) -> [Unicode.Scalar]? {
        (value as? String).map { Array($0.unicodeScalars) }
    }

    /// The inverse of the `…Raw` form.
    private func decodeRaw(_ text: String) -> [UInt8]? {
        let input = Array(text.utf8)
        var output: [UInt8] = []
        var index = 0
        while index < input.count {
            if input[index] == UInt8(ascii: "\\") {
                guard index + 3 < input.count, input[index + 1] == UInt8(ascii: "x"),
                    let byte = UInt8(String(decoding: input[(index + 2)...(index + 3)], as: UTF8.self), radix: 16)
                else { return nil }
                output.append(byte)
                index += 4
            } else {
                output.append(input[index])
                index += 1
            }
        }
        return output
    }

    /// Valid UTF-8 without any control or deceptive character.
    private func expectHarmless(_ bytes: [UInt8], newlines: Bool) {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            Issue.record("no UTF-8")
            return
        }
        for scalar in text.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control where !(newlines && scalar == "\n"), .format, .lineSeparator, .paragraphSeparator:
                Issue.record("U+\(String(scalar.value, radix: 16))")
            default: break
            }
        }
    }
}

extension Samples {
    /// Keys of the text form of a host alert with every text field set.
    static let textKeys = [
        "ClusterName", "HostName", "Type", "PolicyName", "Severity", "Message", "Source", "Resource", "Operation",
        "Action", "Data", "EventData", "Enforcer", "Result", "ATags", "Cwd", "ExecEvent", "HostPID", "HostPPID",
        "KubeArmorVersion", "NodeID", "PID", "PPID", "ParentProcessName", "PolicyGeneration", "ProcessName",
        "ResourceAlias", "TTY", "Tags", "UID", "UserName",
    ]
}

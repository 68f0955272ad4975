@testable import CommandLineTool
import ClientSupport
import ControlJSON
import ControlProtocol
import Foundation
import Testing

@Suite struct SafeTextTests {
    @Test(arguments: [
        ("plain äö 漢字 🙂", "plain äö 漢字 🙂"), ("a\u{1B}[2Jb", "a\\x1b[2Jb"),
        ("a\nb\r\tc\u{0}", "a\\x0ab\\x0d\\x09c\\x00"),
        ("\u{7F}\u{9B}31m", "\\x7f\\x9b31m"), ("x\u{202E}gnp.exe", "x\\u202egnp.exe"),
        ("\u{2066}\u{2069}", "\\u2066\\u2069"),
        ("\u{200B}\u{FEFF}\u{2028}", "\\u200b\\ufeff\\u2028"),
    ])
    func aLineCarriesNoControl(_ text: String, _ expected: String) { #expect(SafeText.line(text) == expected) }

    @Test func noScalarBelowA0OtherThanPrintableAsciiPasses() {
        for value in UInt32(0)..<0x3000 {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let properties = scalar.properties
            guard properties.generalCategory == .control || properties.isBidiControl else { continue }
            #expect(SafeText.line(String(scalar)).allSatisfy { $0.isASCII && !$0.isNewline }, "U+\(value)")
        }
    }

    @Test func escapedJSONIsTheSameValueOnOneLine() throws {
        let text = "a\u{9B}b\u{202E}c\u{E0041}d\u{1B}\n\u{2028}"
        let line = String(decoding: try ControlCoding.encode([text]).dropLast(), as: UTF8.self)
        let escaped = SafeText.json(line)
        #expect(!escaped.unicodeScalars.contains(where: SafeText.isUnsafe))
        #expect(try ControlCoding.decode([String].self, Array(escaped.utf8)) == [text])
    }

    @Test func anAlertIsShownInKarmorsOrderAndHarmless() {
        let json = #"""
            {"Timestamp":1700000000,"UpdatedTime":"2023-11-14T22:13:20.123456Z","Type":"MatchedHostPolicy","HostName":"n1",\#
            "Source":"/bin/x\u001b]0;title\u0007","Resource":"/tmp/\u202etxt\nResult: Passed","Result":"Permission denied","Tags":\#
            ["a","b"],"PID":7,"Empty":"","ATags":[],"EventData":{"Syscall":"openat","Flags":"O_RDONLY"}}
            """#
        #expect(
            AlertReport(json: json, style: .plain).lines == [
                "== Alert / 2023-11-14 22:13:20.123456 ==", "HostName: n1", "Type: MatchedHostPolicy",
                "Source: /bin/x\\x1b]0;title\\x07", "Resource: /tmp/\\u202etxt\\x0aResult: Passed",
                "EventData: map[Flags:O_RDONLY Syscall:openat]", "Result: Permission denied", "PID: 7", "Tags: [a b]",
            ])
        #expect(AlertReport(json: "no\u{1B} JSON", style: .plain).lines == ["no\\x1b JSON"])
    }
}

import Foundation
import Testing

@testable import PlainJSON

@Suite("JSON without Foundation")
struct JSONTextTests {
    private func parse(_ text: String) -> JSONText? { JSONText(parsing: Array(text.utf8)) }

    @Test func readsEveryKindOfValue() {
        let text = #" { "a" : [ 1 , -2.5e+3, 0 , true,false,null ], "b":{"":"x"} } "#
        #expect(
            parse(text)
                == .object([
                    "a": .array([.number("1"), .number("-2.5e+3"), .number("0"), .bool(true), .bool(false), .null]),
                    "b": .object(["": .text("x")]),
                ]))
        #expect(parse(#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00""#) == .text("\"\\/\u{8}\u{C}\n\r\té😀"))
    }

    @Test(arguments: [
        "", "{", "[1,]", "[1 2]", "{\"a\" 1}", "{\"a\":1,\"a\":2}", "{a:1}", "01", "1.", "-", "+1", "1e", "tru", "nul",
        "\"", "\"\n\"", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "1 2", "[]]",
        "\"\\u+123\"", String(repeating: "[", count: 40) + String(repeating: "]", count: 40),
    ])
    func refuses(_ text: String) { #expect(parse(text) == nil) }

    @Test func refusesBytesThatAreNoText() { #expect(JSONText(parsing: [0x22, 0xFF, 0x22]) == nil) }

    @Test func takesBytesOnlyFromNumbersThatAreBytes() {
        #expect(parse("[0,255]")?.bytes == [0, 255])
        for text in ["[256]", "[-1]", "[1.0]", "[\"1\"]", "{}"] { #expect(parse(text)?.bytes == nil) }
    }

    @Test func agreesWithFoundation() throws {
        var random = SystemRandomNumberGenerator()
        let alphabet = Array("{}[]\":,0123456789.eE+-truefalsn \\u/d8\u{1}é😀\n\t")
        var valid = 0
        for round in 0..<20_000 {
            // A valid text with a change, or none.
            var text = Array(#"{"a":[1,-2.5e3,"x\u00e9\\"],"b":{"c":null,"d":true}}"#)
            for _ in 0..<(round % 3) {
                let place = Int.random(in: 0..<text.count, using: &random)
                text[place] = alphabet.randomElement(using: &random) ?? "x"
            }
            let bytes = Array(String(text).utf8)
            guard let ours = JSONText(parsing: bytes) else { continue }
            valid += 1
            let theirs = try JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)
            #expect(isSame(ours, theirs), "\(String(text))")
            #expect(parse(ours.written) == ours, "\(String(text))")
        }
        #expect(valid > 5000)
    }

    private func isSame(_ ours: JSONText, _ theirs: Any) -> Bool {
        switch ours {
        case .null: theirs is NSNull
        case .bool(let value): (theirs as? Bool) == value
        case .number(let text): (theirs as? NSNumber)?.doubleValue == Double(text)
        case .text(let text): (theirs as? String) == text
        case .array(let items):
            (theirs as? [Any]).map { $0.count == items.count && zip(items, $0).allSatisfy(isSame) } ?? false
        case .object(let members):
            (theirs as? [String: Any]).map { other in
                other.count == members.count
                    && members.allSatisfy { name, value in other[name].map { isSame(value, $0) } ?? false }
            } ?? false
        }
    }

    @Test func quotesEveryCharacterSoThatFoundationReadsIt() throws {
        let text = String(String.UnicodeScalarView((0..<0x3000).compactMap(Unicode.Scalar.init))) + "\u{2028}😀"
        let quoted = "[\(JSONText.quoted(text))]"
        #expect(try JSONDecoder().decode([String].self, from: Data(quoted.utf8)) == [text])
        #expect(parse(quoted) == .array([.text(text)]))
        #expect(!quoted.contains("\n"))
    }
}

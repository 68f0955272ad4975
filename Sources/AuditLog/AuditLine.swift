import Crypto
import Glibc

/// A line of the log: JSON, whose last two members are the hash of the line before and of this one.
///
///     {"seq":7,"time":"…","kind":"request",…,"previous":"<64 digits>","hash":"<64 digits>"}
///
/// The hash is SHA-256 of everything in front of `,"hash":`. So no line can be changed, removed or put in without changing the
/// hash of every line behind it, and of the last one there are signatures (`kind` `head`).
enum AuditLine {
    /// Longest text of a member; what is longer is cut.
    static let textLimit = 2048
    static let noHash = String(repeating: "0", count: 64)
    private static let hashMember = ",\"hash\":\""

    /// The line of an entry.
    static func entry(_ entry: AuditEntry, _ sequence: UInt64, _ time: String, previous: String) -> (
        line: String, hash: String
    ) {
        var text = "{\"seq\":\(sequence),\"time\":\"\(time)\",\"kind\":\"\(entry.kind.rawValue)\""
        for (name, value) in [
            ("peer", entry.peer), ("address", entry.address), ("method", entry.method), ("request", entry.request),
            ("object", entry.object), ("outcome", entry.outcome),
        ] where !value.isEmpty { text += ",\"\(name)\":\"\(escaped(value))\"" }
        return sealed(text, previous)
    }

    /// The line of a signature of everything so far.
    static func head(_ sequence: UInt64, _ time: String, key: Curve25519.Signing.PrivateKey, previous: String) throws
        -> (
            line: String, hash: String
        )
    {
        let signature = try key.signature(for: signedText(sequence, previous))
        let text =
            "{\"seq\":\(sequence),\"time\":\"\(time)\",\"kind\":\"head\",\"key\":\"\(hex(key.publicKey.rawRepresentation))\""
            + ",\"signature\":\"\(hex(signature))\""
        return sealed(text, previous)
    }

    /// What a signature is of.
    static func signedText(_ sequence: UInt64, _ previous: String) -> [UInt8] {
        Array("portcullis audit head \(sequence) \(previous)".utf8)
    }

    private static func sealed(_ text: String, _ previous: String) -> (line: String, hash: String) {
        let body = text + ",\"previous\":\"\(previous)\""
        let hash = hex(SHA256.hash(data: Array(body.utf8)))
        return (body + hashMember + hash + "\"}", hash)
    }

    /// What a line says, if its own hash is right.
    struct Parsed: Sendable {
        var sequence: UInt64
        var previous: String
        var hash: String
        /// Key and signature of a head, in hexadecimal.
        var signature: (key: String, signature: String)?
    }

    /// Why a line is none.
    struct Problem: Error { var text: String }

    /// Reads a line.
    static func parse(_ line: Substring) throws(Problem) -> Parsed {
        let bytes = Array(line.utf8)
        let tail = hashMember.utf8.count + 64 + 2
        guard bytes.count > tail, line.hasSuffix("\"}") else { throw Problem(text: "is no line of the log") }
        let body = bytes[..<(bytes.count - tail)]
        let rest = String(decoding: bytes[(bytes.count - tail)...], as: UTF8.self)
        guard rest.hasPrefix(hashMember) else { throw Problem(text: "is no line of the log") }
        let hash = String(rest.dropFirst(hashMember.count).prefix(64))
        guard hash == hex(SHA256.hash(data: body)) else { throw Problem(text: "was changed") }
        let text = String(decoding: body, as: UTF8.self)
        guard let sequence = number(text), let previous = member("previous", ending: text) else {
            throw Problem(text: "is no line of the log")
        }
        var parsed = Parsed(sequence: sequence, previous: previous, hash: hash)
        if let start = text.firstRange(of: ",\"kind\":\"head\",\"key\":\"") {
            let words = text[start.upperBound...].split(separator: "\"")
            guard words.count > 4, words[2] == "signature" else { throw Problem(text: "is no signature") }
            parsed.signature = (String(words[0]), String(words[4]))
        }
        return parsed
    }

    private static func number(_ text: String) -> UInt64? {
        guard text.hasPrefix("{\"seq\":") else { return nil }
        return UInt64(text.dropFirst(7).prefix { $0.isNumber })
    }

    private static func member(_ name: String, ending text: String) -> String? {
        let mark = "\"\(name)\":\""
        let tail = text.suffix(mark.count + 65)
        guard tail.hasPrefix(mark), tail.hasSuffix("\"") else { return nil }
        return String(tail.dropFirst(mark.count).dropLast())
    }

    /// Lower-case hexadecimal.
    static func hex(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// Bytes of hexadecimal digits; `nil` for anything else.
    static func bytes(hex text: String) -> [UInt8]? {
        let digits = text.utf8.map { byte -> UInt8? in
            switch byte {
            case 0x30...0x39: byte - 0x30
            case 0x61...0x66: byte - 0x61 + 10
            default: nil
            }
        }
        guard digits.count % 2 == 0, !digits.contains(nil) else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { (digits[$0] ?? 0) << 4 | (digits[$0 + 1] ?? 0) }
    }

    /// A JSON string's inside, printable ASCII only: what peers chose is text, whatever it is.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for unit in text.utf16.prefix(textLimit) {
            switch unit {
            case 0x22: result += "\\\""
            case 0x5c: result += "\\\\"
            case 0x20..<0x7f: result.unicodeScalars.append(Unicode.Scalar(UInt8(unit)))
            default:
                let digits = String(unit, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }
        }
        return result
    }

    /// `2026-11-28T07:30:00.123456Z`
    static func time(_ now: timespec) -> String {
        var (seconds, parts) = (now.tv_sec, tm())
        gmtime_r(&seconds, &parts)
        func padded(_ value: Int, _ width: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, width - text.count)) + text
        }
        let date =
            "\(padded(Int(parts.tm_year) + 1900, 4))-\(padded(Int(parts.tm_mon) + 1, 2))-\(padded(Int(parts.tm_mday), 2))"
        let time = "\(padded(Int(parts.tm_hour), 2)):\(padded(Int(parts.tm_min), 2)):\(padded(Int(parts.tm_sec), 2))"
        return "\(date)T\(time).\(padded(now.tv_nsec / 1000, 6))Z"
    }
}

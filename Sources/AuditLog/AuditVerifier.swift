import Crypto
import Glibc

/// Reads a log and finds the first line that is not as it was written.
public struct AuditVerifier: Sendable {
    /// A log that is whole.
    public struct Report: Sendable, Hashable {
        /// First and last line.
        public var (first, last): (UInt64, UInt64)
        /// The last line's hash.
        public var hash: String
        /// Signatures, and the line up to which they hold; 0 for none.
        public var (heads, signed): (Int, UInt64)
        /// The key that signed.
        public var key: String
    }

    /// The first line that is wrong.
    public struct Problem: Error, CustomStringConvertible, Sendable {
        /// The line that should be there; 0 when it is not about one.
        public var sequence: UInt64
        /// File, place, number, what is wrong.
        public var description: String
    }

    private let folder: AuditFolder
    private let publicKey: String?
    private let head: AuditWriter.Head?

    /// - Parameters:
    ///   - directory: open as long as the verifier lives.
    ///   - publicKey: the key that has to have signed, in hexadecimal; `nil` for the one in the directory.
    ///   - head: a line that has to be there, known from elsewhere.
    public init(directory: Int32, publicKey: String? = nil, head: AuditWriter.Head? = nil) {
        folder = AuditFolder(descriptor: directory)
        (self.publicKey, self.head) = (publicKey, head)
    }

    /// Reads everything.
    ///
    /// - Throws: `Problem`, or `AuditError` for files that cannot be read.
    public func verify() throws -> Report {
        let names = try folder.segments()
        guard !names.isEmpty else { throw AuditError(description: "there is no audit log") }
        let key = try expectedKey()
        guard let bytes = AuditLine.bytes(hex: key),
            let verifier = try? Curve25519.Signing.PublicKey(rawRepresentation: bytes)
        else { throw AuditError(description: "the public key is none") }
        var report = Report(first: 0, last: 0, hash: "", heads: 0, signed: 0, key: key)
        for name in names {
            let text = String(decoding: try folder.contents(name) ?? [], as: UTF8.self)
            var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            let isWhole = lines.popLast()?.isEmpty ?? true
            for (index, line) in lines.enumerated() {
                try check(line, "\(name):\(index + 1)", verifier, &report)
            }
            if !isWhole { throw wrong(report.last + 1, "\(name):\(lines.count + 1)", "is not whole") }
            if report.last == 0 || name == names.first, AuditFolder.segment(report.first) != name {
                throw wrong(report.first, name, "does not begin where its name says")
            }
        }
        if let head, head.sequence > report.last {
            throw Problem(
                sequence: report.last + 1,
                description:
                    "record \(report.last + 1) is missing: the log ends with \(report.last), and had \(head.sequence)")
        }
        return report
    }

    private func expectedKey() throws -> String {
        if let publicKey { return publicKey }
        guard let bytes = try folder.contents(AuditFolder.publicName, limit: 4096) else {
            throw AuditError(
                description: "\(AuditFolder.publicName): missing; --public-key says which key has to have signed")
        }
        return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }

    private func check(
        _ line: Substring, _ place: String, _ key: Curve25519.Signing.PublicKey, _ report: inout Report
    ) throws {
        let expected = report.last + 1
        let parsed: AuditLine.Parsed
        do { parsed = try AuditLine.parse(line) } catch {
            throw wrong(report.last == 0 ? 0 : expected, place, error.text)
        }
        if report.last == 0 {
            report.first = parsed.sequence
            if parsed.sequence == 1, parsed.previous != AuditLine.noHash {
                throw wrong(1, place, "is not the first of a log")
            }
        } else {
            guard parsed.sequence == expected else {
                throw wrong(expected, place, "is missing: \(parsed.sequence) is in its place")
            }
            guard parsed.previous == report.hash else { throw wrong(expected, place, "does not follow the one before") }
        }
        if let (signer, signature) = parsed.signature {
            guard signer == report.key, let bytes = AuditLine.bytes(hex: signature),
                key.isValidSignature(bytes, for: AuditLine.signedText(parsed.sequence, parsed.previous))
            else { throw wrong(parsed.sequence, place, "has a signature of another key") }
            report.heads += 1
            report.signed = parsed.sequence
        }
        if let head, head.sequence == parsed.sequence, head.hash != parsed.hash {
            throw wrong(parsed.sequence, place, "is not the one that was there")
        }
        (report.last, report.hash) = (parsed.sequence, parsed.hash)
    }

    private func wrong(_ sequence: UInt64, _ place: String, _ text: String) -> Problem {
        Problem(sequence: sequence, description: "\(place): record\(sequence > 0 ? " \(sequence)" : "") \(text)")
    }
}

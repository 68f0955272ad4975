import Crypto
import Foundation
import Testing

@testable import AuditLog

@Suite struct AuditLogTests {
    /// A directory of a test's own.
    private final class Folder {
        let path = "/tmp/portcullis-audit-\(UUID().uuidString.prefix(8))"
        let descriptor: Int32

        init() throws {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        }

        deinit {
            close(descriptor)
            try? FileManager.default.removeItem(atPath: path)
        }

        func write(_ count: Int, _ limits: AuditWriter.Limits = AuditWriter.Limits(headLines: 5)) throws {
            let writer = try AuditWriter(directory: descriptor, limits: limits)
            for number in 0..<count {
                writer.write(AuditEntry(.request, peer: "spiffe://td/cli/ann", method: "s/M", request: "r\(number)"))
            }
            writer.sign()
        }

        var files: [String] {
            get throws {
                try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(".jsonl") }.sorted()
            }
        }

        /// Changes the lines of a file.
        func change(_ file: String, _ body: (inout [String]) -> Void) throws {
            let place = path + "/" + file
            var lines = try String(contentsOfFile: place, encoding: .utf8).split(separator: "\n").map(String.init)
            body(&lines)
            try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(fileURLWithPath: place))
        }

        func verify(publicKey: String? = nil, head: AuditWriter.Head? = nil) throws -> AuditVerifier.Report {
            try AuditVerifier(directory: descriptor, publicKey: publicKey, head: head).verify()
        }
    }

    @Test func whatWasWrittenIsWhole() throws {
        let folder = try Folder()
        try folder.write(12)
        let first = try folder.verify()
        #expect(first.first == 1 && first.heads >= 3 && first.signed == first.last)
        // Another start goes on in the same chain.
        try folder.write(3)
        let second = try folder.verify(
            publicKey: first.key, head: AuditWriter.Head(sequence: first.last, hash: first.hash))
        #expect(second.last > first.last && second.key == first.key)
        let file = try #require(folder.files.first)
        let lines = try String(contentsOfFile: folder.path + "/" + file, encoding: .utf8).split(separator: "\n")
        #expect(lines.count == Int(second.last))
        for line in lines { _ = try JSONSerialization.jsonObject(with: Data(line.utf8)) }
        let mode =
            try FileManager.default.attributesOfItem(atPath: folder.path + "/audit.key")[.posixPermissions] as? Int
        #expect(mode == 0o600)
    }

    /// Every change of every kind, at every line, is found, and the first bad line is named.
    @Test func theFirstBadRecordIsNamed() throws {
        let original = try Folder()
        try original.write(9)
        let file = try #require(original.files.first)
        let contents = try Data(contentsOf: URL(fileURLWithPath: original.path + "/" + file))
        let count = Int(try original.verify().last)
        func expect(_ number: Int, _ what: String, _ body: (inout [String]) -> Void) throws {
            try contents.write(to: URL(fileURLWithPath: original.path + "/" + file))
            try original.change(file, body)
            let problem = #expect(throws: AuditVerifier.Problem.self, "\(what) \(number)") { try original.verify() }
            #expect(problem?.sequence == UInt64(number), "\(what) \(number): \(problem?.description ?? "")")
            #expect(
                problem?.description.hasPrefix("\(file):\(number): record \(number) ") == true,
                "\(problem?.description ?? "")")
        }
        for number in 2...(count - 1) {
            try expect(number, "edited") {
                $0[number - 1] = $0[number - 1].replacingOccurrences(of: "time", with: "tine")
            }
            try expect(number, "removed") { $0.remove(at: number - 1) }
            try expect(number, "doubled") { $0.insert($0[number - 2], at: number - 1) }
            try expect(number, "swapped") { $0.swapAt(number - 1, number) }
            // With a right hash of its own it still does not fit the line behind it, or the signature.
            if number < count - 1 {
                try expect(number + 1, "written anew") { lines in
                    let line = lines[number - 1]
                    let body = line.prefix(line.count - 75).replacingOccurrences(
                        of: "\"time\":\"2", with: "\"time\":\"3")
                    let hash = SHA256.hash(data: Data(body.utf8)).map { String(format: "%02x", $0) }.joined()
                    lines[number - 1] = body + ",\"hash\":\"\(hash)\"}"
                }
            }
        }
    }

    /// Whoever writes the whole log anew has not the key; whoever cuts the end off is found out by a head kept elsewhere.
    @Test func aLogIsNotReplacedAsAWhole() throws {
        let (real, forged) = (try Folder(), try Folder())
        try real.write(9)
        try forged.write(9)
        let report = try real.verify()
        #expect(throws: AuditVerifier.Problem.self) { try forged.verify(publicKey: report.key) }
        let head = AuditWriter.Head(sequence: report.last, hash: report.hash)
        #expect(throws: AuditVerifier.Problem.self) { try forged.verify(head: head) }
        try real.change(try #require(real.files.first)) { $0.removeLast(4) }
        #expect(try real.verify().last == report.last - 4)
        let problem = #expect(throws: AuditVerifier.Problem.self) { try real.verify(head: head) }
        #expect(problem?.sequence == report.last - 3)
    }

    @Test func aTornLineIsRemovedAndSaid() throws {
        let folder = try Folder()
        try folder.write(4)
        let file = try #require(folder.files.first)
        let handle = try #require(FileHandle(forWritingAtPath: folder.path + "/" + file))
        handle.seekToEndOfFile()
        handle.write(Data("{\"seq\":8,\"ti".utf8))
        handle.closeFile()
        #expect(throws: AuditVerifier.Problem.self) { try folder.verify() }
        try folder.write(1)
        let report = try folder.verify()
        #expect(report.first == 1)
        let text = try String(contentsOfFile: folder.path + "/" + file, encoding: .utf8)
        #expect(text.contains("was not whole"))
    }

    @Test func sizeIsBoundedAndTheRestVerifies() throws {
        let folder = try Folder()
        try folder.write(400, AuditWriter.Limits(segmentBytes: 4096, segments: 3, headLines: 20))
        #expect(try folder.files.count == 3)
        let report = try folder.verify()
        #expect(report.first > 1 && report.last > 400)
        // A file out of the middle is missed.
        try FileManager.default.removeItem(atPath: folder.path + "/" + folder.files[1])
        let problem = #expect(throws: AuditVerifier.Problem.self) { try folder.verify() }
        #expect(problem?.description.contains("is missing") == true)
    }

    /// A log that was changed does not keep its owner from starting, and the change is still named.
    @Test func aChangedEndIsWrittenOnBehind() throws {
        let folder = try Folder()
        try folder.write(4)
        let file = try #require(folder.files.first)
        let last = try folder.verify().last
        try folder.change(file) { $0[$0.count - 1] = $0[$0.count - 1].replacingOccurrences(of: "kind", with: "Kind") }
        try folder.write(2)
        let problem = #expect(throws: AuditVerifier.Problem.self) { try folder.verify() }
        #expect(problem?.sequence == last)
    }

    @Test func whatPeersChooseIsOnlyText() throws {
        let folder = try Folder()
        let hostile = "\u{1B}]0;x\u{7}\n{\"seq\":1}\",\"hash\":\"\\ \u{202E}é😀"
        do {
            let writer = try AuditWriter(directory: folder.descriptor)
            writer.write(AuditEntry(.request, peer: hostile, object: hostile))
            writer.write(AuditEntry(.request, object: String(repeating: "x", count: 100_000)))
        }
        let report = try folder.verify()
        #expect(report.last == 4)
        let bytes = try Data(contentsOf: URL(fileURLWithPath: folder.path + "/" + (try #require(folder.files.first))))
        #expect(bytes.allSatisfy { $0 == 10 || (0x20..<0x7f).contains($0) } && bytes.count < 8000)
        let line = try #require(String(decoding: bytes, as: UTF8.self).split(separator: "\n").dropFirst().first)
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        #expect(object?["peer"] as? String == hostile)
    }
}

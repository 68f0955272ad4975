import Foundation
import PolicyModel
import Testing

@testable import PolicyEngine

/// Replays every saved input of the snapshot's fuzz target, with the checksum made right as the target does.
@Suite("SnapshotFuzz corpus")
struct SnapshotCorpusTests {
    private static let folder: URL = {
        var url = URL(fileURLWithPath: #filePath)
        while url.path != "/", !FileManager.default.fileExists(atPath: url.appendingPathComponent("Package.swift").path)
        {
            url.deleteLastPathComponent()
        }
        return url.appendingPathComponent("FuzzTesting/PolicySnapshot")
    }()

    /// The seeds: one small snapshot for each part of the format, and one of everything.
    private static let seeds: [(name: String, rules: [String], postures: Postures)] = [
        ("empty", [], Postures()),
        (
            "paths",
            ["block file /etc/shadow", "allow process /bin/ls owner", "block file /etc/ ro", "audit file /a/..."],
            Postures(file: .block)
        ),
        (
            "sources",
            [
                "block file /etc/shadow from=/bin/cat,/bin/dog", "allow file /var/... from=/bin/nc",
                "audit process /opt/ from=/bin/sh notty", "block process name:nc from=/bin/sh",
            ], Postures(file: .audit)
        ),
        (
            "patterns",
            [
                "block file glob:/var/**/{a,b}[0-9]*.log", "allow file glob:/var/log/*.txt", "audit process glob:**/x?",
                "block process glob:/opt/{a,b,c}/**", "block file glob:/\(String(repeating: "?x", count: 40))*",
            ], Postures()
        ),
        ("arguments", ["block process /bin/tar args=-x,-y", "block process name:nc args=-l"], Postures()),
        (
            "sockets",
            ["block tcp", "allow dgram from=/bin/dig", "audit raw notty", "block dns evil.test", "audit dns a.b"],
            Postures(network: .block)
        ),
        ("capabilities", ["allow cap 13", "audit cap 21 from=/bin/su"], Postures(capabilities: .block)),
        (
            "calls",
            ["audit call mount,umount", "audit call unlink path=/etc/... from=/bin/...", "audit call rmdir path=/a"],
            Postures()
        ),
        (
            "presets",
            [
                "block preset filelessExec", "audit preset exec", "block preset protectEnv", "audit preset protectProc",
                "block preset anonymousMapExec",
            ], Postures()
        ),
    ]

    private static func snapshot(_ rules: [String], _ postures: Postures) throws -> [UInt8] {
        // A seed, so that the files are the same each time.
        try EngineScript(rules, postures: postures, seed: 1).compiled.bytes
    }

    /// `FUZZ_WRITE_CORPUS=1 swift test --filter SnapshotCorpusTests` writes the seeds anew after a change of the format.
    @Test func seedsAreWhatTheCompilerWrites() throws {
        let folder = Self.folder.appendingPathComponent("Corpus")
        let all = [("everything", Self.seeds.flatMap(\.rules), Postures(file: .block))]
        for (name, rules, postures) in Self.seeds.map({ ($0.name, $0.rules, $0.postures) }) + all {
            let bytes = try Self.snapshot(rules, postures)
            let file = folder.appendingPathComponent("\(name).snapshot")
            if ProcessInfo.processInfo.environment["FUZZ_WRITE_CORPUS"] == "1" { try Data(bytes).write(to: file) }
            #expect(try [UInt8](Data(contentsOf: file)) == bytes, "\(name)")
            #expect(bytes.withUnsafeBytes { SnapshotExercise.open($0) }, "\(name)")
        }
    }

    @Test func everySavedInputIsRefusedOrReadSafely() throws {
        for kind in ["Corpus", "FailCases"] {
            let folder = Self.folder.appendingPathComponent(kind)
            let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            #expect(files.count >= (kind == "Corpus" ? Self.seeds.count : 1), "\(kind)")
            for file in files {
                var bytes = [UInt8](try Data(contentsOf: folder.appendingPathComponent(file)))
                SnapshotExercise.seal(&bytes)
                let isOpen = bytes.withUnsafeBytes { SnapshotExercise.open($0) }
                #expect(isOpen || kind == "FailCases", "\(kind)/\(file)")
            }
        }
    }
}

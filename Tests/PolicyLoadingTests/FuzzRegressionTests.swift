import Foundation
import Testing

@testable import PolicyLoading

/// Replays every saved input, and random mutations of the seeds, through the loader.
@Suite("FuzzRegression")
struct FuzzRegressionTests {
    private static let folder: URL = {
        var url = URL(fileURLWithPath: #filePath)
        while url.path != "/", !FileManager.default.fileExists(atPath: url.appendingPathComponent("Package.swift").path)
        {
            url.deleteLastPathComponent()
        }
        return url.appendingPathComponent("FuzzTesting/PolicyLoading")
    }()

    private static func inputs(_ name: String) throws -> [(name: String, bytes: [UInt8])] {
        try FileManager.default.contentsOfDirectory(atPath: folder.appendingPathComponent(name).path).sorted().map {
            ($0, [UInt8](try Data(contentsOf: folder.appendingPathComponent(name).appendingPathComponent($0))))
        }
    }

    @Test func seedsLoadAndWhatOnceBrokeIsRefusedWithAPlace() throws {
        let seeds = try Self.inputs("Corpus")
        #expect(seeds.count >= 3)
        for seed in seeds {
            let result = PolicyDocumentLoader().load(bytes: seed.bytes, file: seed.name)
            #expect(result.isValid && !result.policies.isEmpty, "\(seed.name): \(result.diagnostics)")
        }
        let cases = try Self.inputs("FailCases")
        #expect(cases.count >= 5)
        for failed in cases {
            let result = PolicyDocumentLoader().load(bytes: failed.bytes, file: failed.name)
            #expect(!result.isValid && result.policies.isEmpty, "\(failed.name)")
        }
    }

    @Test func everySavedInputKeepsTheLoadersPromises() throws {
        for input in try Self.inputs("Corpus") + Self.inputs("FailCases") {
            #expect(LoadingExercise.violation(input.bytes) == nil, "\(input.name)")
        }
    }

    @Test func mutatedSeedsLoadWholeOrNotAtAll() throws {
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        func random(_ bound: Int) -> Int {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Int(state % UInt64(bound))
        }
        let seeds = try Self.inputs("Corpus").map(\.bytes)
        let fragments = [
            "\n---\n", "[", "{", "}", "]", "*x", "&x ", "!!map ", "<<: ", "\t", "\"", "'", "- ", ": ", "\u{0}", "0x1f",
        ]
        var refused = 0
        for _ in 0..<4000 {
            var bytes = seeds[random(seeds.count)]
            for _ in 0...random(4) {
                let at = random(bytes.count + 1)
                switch random(4) {
                case 0: if at < bytes.count { bytes[at] = UInt8(random(256)) }
                case 1: bytes.insert(contentsOf: Array(fragments[random(fragments.count)].utf8), at: at)
                case 2: bytes.removeSubrange(at..<min(bytes.count, at + random(30)))
                default:
                    let from = random(bytes.count + 1)
                    bytes.insert(contentsOf: Array(bytes[from..<min(bytes.count, from + random(60))]), at: at)
                }
                if bytes.isEmpty { bytes = [0x20] }
            }
            #expect(LoadingExercise.violation(bytes) == nil)
            if !PolicyDocumentLoader().load(bytes: bytes, file: "mutated").isValid { refused += 1 }
        }
        #expect(refused > 1000)
    }
}

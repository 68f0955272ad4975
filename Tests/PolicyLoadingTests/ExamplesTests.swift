import Foundation
import Testing

@testable import PolicyLoading

@Suite("Examples")
struct ExamplesTests {
    @Test func everyExampleLoadsWithoutAWarning() throws {
        var url = URL(fileURLWithPath: #filePath)
        while url.path != "/", !FileManager.default.fileExists(atPath: url.appendingPathComponent("Package.swift").path)
        {
            url.deleteLastPathComponent()
        }
        let files = PolicyFileReader.files(at: url.appendingPathComponent("examples").path)
        #expect(files.count >= 4)
        for file in files {
            let result = PolicyFileReader.load(file)
            #expect(result.diagnostics.isEmpty && !result.policies.isEmpty, "\(file): \(result.diagnostics)")
        }
    }
}

import Foundation
import Testing

@testable import Telemetry

@Suite("Names of users")
struct UserNamesTests {
    @Test func comeFromAFileWithoutANameService() throws {
        let file = NSTemporaryDirectory() + "passwd-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: file) }
        // A line that is none, and one that is longer than any should be, are passed over.
        let text =
            "root:x:0:0::/root:/bin/sh\nnonsense\nlong:x:7:7:\(String(repeating: "g", count: 70_000)):/:/bin/sh\n"
            + "ann:x:1000:1000:Ann:/home/ann:/bin/sh\nbob:x:1000:1000::/:/bin/sh\n"
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        #expect(UserNames.name(of: 0, inFile: file) == "root")
        #expect(UserNames.name(of: 1000, inFile: file) == "ann")
        #expect(UserNames.name(of: 1, inFile: file) == "")
        #expect(UserNames.name(of: 0, inFile: "/nonexistent") == "")
    }

    @Test func areThoseOfTheSystem() {
        #expect(UserNames.fromSystem(0) == "root")
        #expect(UserNames.fromSystem(4_000_000_000) == "")
    }
}

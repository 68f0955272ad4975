import PolicyModel
import Testing

@testable import PolicyLoading

@Suite("Published policies")
struct PublishedFilesTests {
    @Test(arguments: ["corpus", "policies"])
    func everyFileLoadsOrIsKnownToBeRefused(folder: String) {
        let files = PolicyFileReader.files(at: "\(PublishedFiles.shared)/compat/\(folder)")
        for file in files {
            let result = PolicyFileReader.load(file)
            if !result.isValid {
                print("REFUSED", result.diagnostics.map(\.description).joined(separator: "\n        "))
            }
        }
        print("FILES", files.count)
    }
}

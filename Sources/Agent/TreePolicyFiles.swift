import ControlProtocol
import Glibc
import PolicyLoading
import PolicyModel

/// The policies of supervised trees on disk, so that a front that replaces another knows them. A tree lives no longer than its
/// agent: what is found at an agent's start is from one before.
struct TreePolicyFiles {
    /// `<state directory>/trees`, owned by the front.
    let directory: String

    /// Saves the documents of a workload.
    func save(_ documents: [PolicyDocument], of workload: UInt64) throws(SavedFile.WriteError) {
        for (index, document) in documents.enumerated() {
            try SavedFile.write(document.text, to: "\(directory)/\(workload)-\(index).yaml")
        }
    }

    /// The policies of all workloads.
    func load() -> [UInt64: [Policy]] {
        var result: [UInt64: [Policy]] = [:]
        for file in files.sorted() {
            guard let workload = Self.workload(of: file) else { continue }
            result[workload, default: []] += PolicyFileReader.load("\(directory)/\(file)").policies
        }
        return result
    }

    /// Removes those of a workload.
    func remove(_ workload: UInt64) { remove { $0 == workload } }

    /// Removes all.
    func clear() { remove { _ in true } }

    private func remove(_ isMeant: (UInt64?) -> Bool) {
        for file in files where isMeant(Self.workload(of: file)) { unlink("\(directory)/\(file)") }
    }

    private static func workload(of file: String) -> UInt64? { file.split(separator: "-").first.flatMap { UInt64($0) } }

    private var files: [String] { SavedFile.names(in: directory) }
}

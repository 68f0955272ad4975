import Glibc
import PolicyLoading
import PolicyModel

/// The applied policies on disk, one file each, so that they survive a restart. Written whole or not at all.
struct AppliedPolicyFiles {
    /// `<state directory>/policies`, owned by the front.
    let directory: String

    /// A document of a text with several, and the one policy in it.
    struct Piece {
        var text: String
        var policy: Policy
    }

    /// Cuts a text into its documents.
    ///
    /// - Returns: `nil` when the pieces do not load to the policies of the whole, one each.
    static func split(_ text: String, name: String, expecting policies: [Policy]) -> [Piece]? {
        var pieces: [String] = [""]
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line == "---" || line.hasPrefix("--- ") || line == "---\r" {
                pieces.append("")
            } else {
                pieces[pieces.count - 1] += line + "\n"
            }
        }
        let loader = PolicyDocumentLoader()
        var result: [Piece] = []
        for piece in pieces {
            let loaded = loader.load(bytes: Array(piece.utf8), file: name).policies
            if loaded.isEmpty { continue }
            guard loaded.count == 1 else { return nil }
            result.append(Piece(text: piece, policy: loaded[0]))
        }
        guard result.count == policies.count else { return nil }
        for (piece, policy) in zip(result, policies) where PolicyStore.Key(piece.policy) != PolicyStore.Key(policy) {
            return nil
        }
        return result
    }

    /// Loads every saved policy; what does not load is named.
    func load() -> (policies: [Policy], problems: [Diagnostic]) {
        var policies: [Policy] = []
        var problems: [Diagnostic] = []
        for file in PolicyFileReader.files(at: directory) where file != directory {
            let result = PolicyFileReader.load(file)
            policies += result.policies
            problems += result.diagnostics
        }
        return (policies, problems)
    }

    /// Saves a policy's text; an error is one line.
    func save(_ piece: Piece) throws(SavedFile.WriteError) {
        try SavedFile.write(piece.text, to: path(PolicyStore.Key(piece.policy)))
    }

    /// Removes a saved policy, if there is one.
    func remove(_ key: PolicyStore.Key) { unlink(path(key)) }

    private func path(_ key: PolicyStore.Key) -> String {
        // Kind, namespace and name are DNS labels: no path can be made of them.
        "\(directory)/\(key.kind.rawValue)_\(key.namespace)_\(key.name).yaml"
    }
}

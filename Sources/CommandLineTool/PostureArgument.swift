import ArgumentParser
import PolicyModel

/// A default posture as `CATEGORY=POSTURE`, such as `file=block`.
struct PostureArgument: ExpressibleByArgument {
    enum Category: String { case file, network, capabilities }

    let category: Category
    let posture: Posture

    init?(argument: String) {
        let parts = argument.split(separator: "=", omittingEmptySubsequences: false)
        guard parts.count == 2, let category = Category(rawValue: String(parts[0])),
            let posture = Posture.allCases.first(where: { $0.name == parts[1] })
        else { return nil }
        self.category = category
        self.posture = posture
    }

    /// All of them over the defaults; the last of a category holds.
    static func postures(_ arguments: [PostureArgument]) -> Postures {
        var postures = Postures()
        for argument in arguments {
            switch argument.category {
            case .file: postures.file = argument.posture
            case .network: postures.network = argument.posture
            case .capabilities: postures.capabilities = argument.posture
            }
        }
        return postures
    }
}

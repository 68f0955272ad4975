import ArgumentParser
import PolicyModel

/// A policy kind as people write it: the full name in any case, or `ksp`, `hsp`, `csp`, `nsp`.
struct PolicyKindArgument: ExpressibleByArgument {
    let kind: PolicyKind

    static let allValueStrings = ["ksp", "hsp", "csp", "nsp"] + PolicyKind.allCases.map(\.rawValue)

    init?(argument: String) {
        switch argument.lowercased() {
        case "ksp", "kubearmorpolicy", "kubearmorpolicies": kind = .container
        case "hsp", "kubearmorhostpolicy", "kubearmorhostpolicies": kind = .host
        case "csp", "kubearmorclusterpolicy", "kubearmorclusterpolicies": kind = .cluster
        case "nsp", "kubearmornetworkpolicy", "kubearmornetworkpolicies": kind = .network
        default: return nil
        }
    }
}

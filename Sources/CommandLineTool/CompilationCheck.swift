import PolicyEngine
import PolicyLoading
import PolicyModel

/// What a file that loads must satisfy besides: the agent refuses policies whose patterns do not compile.
enum CompilationCheck {
    /// The result with a problem for every rule that the compiler refuses.
    static func checked(_ result: LoadResult) -> LoadResult {
        var result = result
        for policy in result.policies {
            guard let error = refusal(of: policy) else { continue }
            let found = Set(rules(of: policy).compactMap(refusal))
            // What only the whole policy exceeds is no rule's own fault.
            result.diagnostics += (found.isEmpty ? [error] : found).sorted {
                ($0.position.line, $0.position.column) < ($1.position.line, $1.position.column)
            }
        }
        return result
    }

    private static func refusal(of policy: Policy) -> Diagnostic? {
        do {
            _ = try SnapshotCompiler().compile(policies: [policy], postures: Postures(), generation: 1)
            return nil
        } catch {
            return Diagnostic(position: error.position, message: error.message)
        }
    }

    /// A policy of its own for each rule with a pattern, which is all that can be refused alone.
    private static func rules(of policy: Policy) -> [Policy] {
        var empty = Policy(kind: policy.kind, name: policy.name, position: policy.position)
        func isPattern(_ subject: PathSubject) -> Bool {
            guard case .pattern = subject else { return false }
            return true
        }
        let processes = policy.process.filter { isPattern($0.subject) }.map { rule in
            empty.process = [rule]
            return empty
        }
        empty.process = []
        return processes
            + policy.file.filter { isPattern($0.subject) }.map { rule in
                empty.file = [rule]
                return empty
            }
    }
}

import AgentCore
import ControlProtocol
import PolicyLoading
import PolicyModel

/// Changes of the applied policies: each is saved and put in force, or nothing happens.
final class PolicyChanges {
    /// How a change ended.
    enum Outcome {
        /// One line for each thing that was done.
        case done([String])
        /// One line for each reason why nothing was.
        case failed([String])
    }

    private let pipeline: PolicyPipeline
    private let saved: AppliedPolicyFiles
    private let filtersPackets: Bool
    private let activated: () -> Void

    /// - Parameters:
    ///   - filtersPackets: network policies are enforced.
    ///   - activated: called when a change is in force.
    init(
        pipeline: PolicyPipeline, saved: AppliedPolicyFiles, filtersPackets: Bool, activated: @escaping () -> Void
    ) {
        self.pipeline = pipeline
        self.saved = saved
        self.filtersPackets = filtersPackets
        self.activated = activated
    }

    /// Adds or replaces the policies of all documents, or none.
    func apply(_ documents: [PolicyDocument], dryRun: Bool, _ completion: @escaping (Outcome) -> Void) {
        var pieces: [AppliedPolicyFiles.Piece] = []
        var problems: [String] = []
        for document in documents {
            let result = PolicyDocumentLoader().load(bytes: Array(document.text.utf8), file: document.name)
            problems += result.diagnostics.filter { $0.severity == .error }.map(\.description)
            guard result.isValid else { continue }
            guard let parts = AppliedPolicyFiles.split(document.text, name: document.name, expecting: result.policies)
            else {
                problems.append("\(document.name): the documents cannot be told apart; apply them one by one")
                continue
            }
            pieces += parts
        }
        guard problems.isEmpty else { return completion(.failed(problems)) }
        let before = Set(pipeline.latestStore.entries.map { PolicyStore.Key($0.policy) })
        let messages = pieces.map { piece in
            let key = PolicyStore.Key(piece.policy)
            return "\(key.text) \(before.contains(key) ? "modified" : "applied")\(dryRun ? " (dry run)" : "")"
        }
        if dryRun {
            var store = pipeline.latestStore
            store.apply(pieces.map(\.policy))
            return completion(pipeline.problem(in: store).map { .failed([$0]) } ?? .done(messages))
        }
        put(pieces) { completion($0.map { .failed([$0]) } ?? .done(messages)) }
    }

    /// - Parameter completion: told why the pieces are not in force, or `nil`.
    private func put(_ pieces: [AppliedPolicyFiles.Piece], _ completion: @escaping (String?) -> Void) {
        // Saved before in force: what is in force is never less than what a restart brings back.
        do { for piece in pieces { try saved.save(piece) } } catch { return completion("\(error)") }
        var store = pipeline.latestStore
        store.apply(pieces.map(\.policy))
        pipeline.submit(
            PolicyPipeline.Change(store: store) { [self] outcome in
                switch outcome {
                case .activated:
                    activated()
                    completion(nil)
                case .refused(let reason):
                    for piece in pieces { saved.remove(PolicyStore.Key(piece.policy)) }
                    completion(reason)
                }
            })
    }

    /// Removes an applied policy.
    func delete(_ kind: String, _ namespace: String, _ name: String, _ completion: @escaping (Outcome) -> Void) {
        guard let policyKind = PolicyKind(rawValue: kind) else {
            return completion(.failed(["kind '\(kind)' is not known"]))
        }
        let key = PolicyStore.Key(kind: policyKind, namespace: namespace, name: name)
        remove(key) { deletion, problem in
            switch deletion {
            case .absent: completion(.failed(["\(key.text) does not exist"]))
            case .inFile(let file): completion(.failed(["\(key.text) is in \(file): remove it there"]))
            case .deleted: completion(problem.map { .failed([$0]) } ?? .done(["\(key.text) deleted"]))
            }
        }
    }

    private func remove(_ key: PolicyStore.Key, _ completion: @escaping (PolicyStore.Deletion, String?) -> Void) {
        var store = pipeline.latestStore
        let deletion = store.delete(key)
        guard deletion == .deleted else { return completion(deletion, nil) }
        pipeline.submit(
            PolicyPipeline.Change(store: store) { [self] outcome in
                switch outcome {
                case .activated:
                    saved.remove(key)
                    completion(.deleted, nil)
                case .refused(let reason): completion(.deleted, reason)
                }
            })
    }

    // MARK: - KubeArmor's events

    /// Does what an event of KubeArmor's PolicyService says.
    ///
    /// - Parameter event: `{"type":"ADDED"|"MODIFIED"|"DELETED","object":{"metadata":{},"spec":{}}}`.
    func take(_ event: String, of kind: PolicyKind, _ completion: @escaping (PolicyEventStatus) -> Void) {
        guard let event = PolicyEvent(event, kind: kind) else { return completion(.invalid) }
        guard kind != .network || filtersPackets else { return completion(.notEnabled) }
        if event.isDeletion {
            remove(event.key) { deletion, problem in
                switch deletion {
                case .absent: completion(.notExist)
                // The file says it is to be there.
                case .inFile: completion(.failure)
                case .deleted: completion(problem == nil ? .deleted : .failure)
                }
            }
            return
        }
        let loaded = PolicyDocumentLoader().load(bytes: Array(event.document.utf8), file: event.key.name)
        guard loaded.isValid, let policy = loaded.policies.first, loaded.policies.count == 1 else {
            for problem in loaded.diagnostics where problem.severity == .error { AgentLog.warning("\(problem)") }
            return completion(.invalid)
        }
        // Upstream's containers are chosen by labels: a policy without any is for nobody.
        guard kind != .container || !policy.selector.labels.isEmpty else { return completion(.invalid) }
        let before = pipeline.latestStore.entries.first { PolicyStore.Key($0.policy) == event.key }?.policy
        if let before, before == policy { return completion(.applied) }
        let isKnown = before != nil && (kind != .container || event.isModification)
        put([AppliedPolicyFiles.Piece(text: event.document, policy: policy)]) { problem in
            if let problem { AgentLog.warning("\(event.key.text) is not applied: \(problem)") }
            completion(problem != nil ? .invalid : isKnown ? .modified : .applied)
        }
    }
}

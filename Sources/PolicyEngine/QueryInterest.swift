extension Snapshot {
    /// Whether some query of a program's could be blocked: what it asks for is not known yet.
    ///
    /// - Parameter source: the program, if it is known; an empty one is a caller without executable.
    /// - Returns: `nil` when it depends on the program.
    public func mayBlockQueries(source: UnsafeRawBufferPointer?) -> Bool? {
        guard hasRules(in: .dns) else { return false }
        if isAllowList(.dns), posture(.dns) == .block { return true }
        var dependsOnSource = false
        var operation = KeyedOperation(source: source)
        for node in 0..<nodeCount where nodeWord(node, NodeWord.space) == KeySpace.domain {
            if let own = ownRecord(node), blocks(own.record) { return true }
            guard let bound = boundRecord(node, &operation) else { continue }
            if !bound.missing.isEmpty { dependsOnSource = true } else if blocks(bound.record) { return true }
        }
        return dependsOnSource ? nil : false
    }

    private func blocks(_ record: Int) -> Bool { recordWord(record, RecordWord.flags) & RecordFlag.allows == 0 }
}

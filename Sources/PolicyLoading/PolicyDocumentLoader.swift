import PolicyModel

/// Loads policies from the bytes of a file: strictly, within limits, and all or none.
public struct PolicyDocumentLoader: Sendable {
    private let limits: LoadingLimits

    /// A loader with these limits.
    public init(limits: LoadingLimits = LoadingLimits()) { self.limits = limits }

    /// Loads every document of a YAML or JSON file.
    ///
    /// - Parameter file: the name in messages.
    /// - Returns: all policies, or none and at least one error.
    public func load(bytes: [UInt8], file: String) -> LoadResult {
        let trees: [DocumentTree]
        do { trees = try TreeParser(file: file, limits: limits).parse(bytes) } catch {
            return LoadResult(diagnostics: [error.diagnostic])
        }
        let sink = DiagnosticSink(limit: limits.diagnostics)
        let decoder = PolicyDecoder(sink: sink, limits: limits)
        var policies: [Policy] = []
        if trees.isEmpty {
            sink.error(SourcePosition(file: file, line: 1, column: 1), "there is no policy in the file")
        }
        for tree in trees {
            if let policy = decoder.decode(tree) { policies.append(policy) }
        }
        let diagnostics = sink.diagnostics.sorted {
            ($0.position.line, $0.position.column) < ($1.position.line, $1.position.column)
        }
        let isValid = !diagnostics.contains { $0.severity == .error }
        return LoadResult(policies: isValid ? policies : [], diagnostics: diagnostics)
    }
}

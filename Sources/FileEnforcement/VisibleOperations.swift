import PolicyModel

/// What the host's processes and containers are to be told of, and where.
public struct VisibleOperations: Sendable, Equatable {
    /// Of the host's processes, supervised trees included.
    public var host: Visibility
    /// Of containers.
    public var containers: Visibility
    /// Filesystems, by a path in each, on which the host's opens and executions are looked at; all of them when empty.
    public var places: [String]

    /// Describes what is visible.
    public init(host: Visibility = [], containers: Visibility = [], places: [String] = []) {
        (self.host, self.containers, self.places) = (host, containers, places)
    }
}

/// How a record is written.
public enum AlertEncoding: String, Sendable, Hashable, CaseIterable {
    /// One JSON object, keys as in the `feeder.Alert` message: what karmor, the relay and Elasticsearch see.
    case camelCase
    /// One JSON object, keys as in the file that upstream's `logPath` names.
    case daemon
    /// The lines of `karmor logs`, for people.
    case text
    /// `SpoolKind` as one byte, then `feeder.Alert` or `feeder.Log`.
    case spool
}

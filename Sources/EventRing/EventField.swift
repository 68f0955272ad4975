/// The variable fields of an event, in the order they have in the record.
public enum EventField: Int, Sendable, CaseIterable {
    /// Path of the object. Of a socket: domain, type and protocol, each a little-endian 32-bit number.
    /// Of a packet: a `PacketFlow`. Of a query: the name.
    case resource
    /// The path that was asked for, or another known name of the object.
    case requestedPath
    /// Executable of the process.
    case executable
    /// Executable of its parent.
    case parentExecutable
    /// Working directory.
    case workingDirectory
    /// Terminal.
    case terminal
    /// Thread name.
    case threadName
    /// argv, joined by NUL.
    case arguments
    /// Free text. Of a query that a packet told of: a `PacketQuery`.
    case message

    /// Number of fields.
    public static let count = 9
}

/// The variable fields of a record, in their order.
public enum EventField: Int, Sendable, CaseIterable {
    /// Path of the object.
    case resource
    /// Another name under which a rule knows the object.
    case alias
    /// Executable of the calling process.
    case executable
    /// Executable of its parent.
    case parentExecutable
    /// Working directory.
    case workingDirectory
    /// Name of the thread group's leader (comm).
    case comm
    /// argv: NUL-terminated strings one after the other.
    case arguments
    /// Free text.
    case message
}

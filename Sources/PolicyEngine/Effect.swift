/// What happens to an operation, ordered by strictness.
public enum Effect: UInt8, Sendable {
    case allow, audit, block
}

/// Facts of an operation that cost something to find out.
public struct FactSet: OptionSet, Sendable {
    /// One bit a fact.
    public let rawValue: UInt8

    /// Wraps the bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The executable that `fromSource` is compared with.
    public static let source = FactSet(rawValue: 1)
    /// Whether there is write intent.
    public static let write = FactSet(rawValue: 2)
    /// Whether the caller owns the object.
    public static let ownership = FactSet(rawValue: 4)
    /// Whether the caller has a controlling terminal.
    public static let terminal = FactSet(rawValue: 8)
    /// argv.
    public static let arguments = FactSet(rawValue: 16)
    /// The caller's process id, and whether it entered the workload.
    public static let process = FactSet(rawValue: 32)
}

/// Why bytes are not a snapshot.
public enum SnapshotError: Error, Equatable, Sendable, CustomStringConvertible {
    case tooShort
    case badMagic
    case badVersion(UInt32)
    case badLength
    case badChecksum
    /// A reference, count or invariant of this part does not hold.
    case badReference(String)

    /// For people.
    public var description: String {
        switch self {
        case .tooShort: "too short"
        case .badMagic: "not a snapshot"
        case .badVersion(let version): "version \(version) is not known"
        case .badLength: "the length is wrong"
        case .badChecksum: "the checksum is wrong"
        case .badReference(let part): "the \(part) are inconsistent"
        }
    }
}

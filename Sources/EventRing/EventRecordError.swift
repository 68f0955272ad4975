/// Why bytes are not an event record.
public enum EventRecordError: Error, Equatable, Sendable {
    /// Fewer bytes than a header, or more than a record may have.
    case size(Int)
    /// Another version.
    case version(UInt16)
    /// Another header size.
    case headerSize(UInt16)
    /// A value without a meaning in this fixed field.
    case value(field: String, UInt8)
    /// Reserved bytes are set.
    case reserved
    /// The field lengths do not add up to the record's size.
    case lengths(sum: Int, available: Int)
}

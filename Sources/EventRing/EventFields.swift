/// Borrowed bytes of an event's variable fields. They must stay valid while the record is built; nothing is copied here.
public struct EventFields {
    private var bytes: [9 of UnsafeRawBufferPointer]

    /// All fields empty.
    public init() {
        bytes = .init(repeating: UnsafeRawBufferPointer(start: nil, count: 0))
    }

    /// The bytes of a field.
    public subscript(field: EventField) -> UnsafeRawBufferPointer {
        get { bytes[field.rawValue] }
        set { bytes[field.rawValue] = newValue }
    }

    subscript(index index: Int) -> UnsafeRawBufferPointer { bytes[index] }
}

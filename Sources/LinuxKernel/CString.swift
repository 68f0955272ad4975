/// C strings that cost nothing.
public enum CString {
    /// A literal as the C string that it is. A `String` passed as a pointer would be copied to the heap first.
    public static func literal(_ text: StaticString) -> UnsafePointer<CChar> {
        UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
    }
}

/// A null-terminated array of C strings that lives as long as this object.
final class CStringArray {
    let pointers: [UnsafeMutablePointer<CChar>?]

    init(_ strings: [String]) {
        pointers =
            strings.map { string in
                let bytes = string.utf8CString
                let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
                bytes.withUnsafeBufferPointer { source in
                    if let base = source.baseAddress { copy.initialize(from: base, count: source.count) }
                }
                return copy
            } + [nil]
    }

    deinit { for pointer in pointers { pointer?.deallocate() } }
}

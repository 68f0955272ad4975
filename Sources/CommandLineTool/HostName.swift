import Glibc

/// The name of this machine.
enum HostName {
    /// As gethostname(2) has it.
    static var own: String {
        var buffer = [CChar](repeating: 0, count: 256)
        // One byte stays zero: gethostname(2) does not end a name that was cut.
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "localhost" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

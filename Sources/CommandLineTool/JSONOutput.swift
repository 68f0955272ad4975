import ClientSupport
import ControlJSON

extension StandardStreams {
    /// Writes a value as one line of JSON.
    static func write(json value: some Encodable) throws {
        var bytes = try ControlCoding.encode(value)
        bytes.removeLast()
        try write(SafeText.json(String(decoding: bytes, as: UTF8.self)))
    }
}

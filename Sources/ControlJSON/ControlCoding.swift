import FoundationEssentials

/// One message as one line of JSON.
public enum ControlCoding {
    /// A line, newline included.
    public static func encode(_ message: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try Array(encoder.encode(message)) + [UInt8(ascii: "\n")]
    }

    /// A message from a line without its newline.
    public static func decode<Message: Decodable>(_ type: Message.Type, _ line: [UInt8]) throws -> Message {
        try JSONDecoder().decode(type, from: Data(line))
    }
}

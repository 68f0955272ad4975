/// One entry of an alert's `EventData`.
public struct EventDatum: Sendable, Hashable {
    /// Key with its first letter in upper case.
    public var key: String
    /// Everything after the first `=`.
    public var value: String

    /// Creates an entry.
    public init(key: String, value: String) {
        self.key = key
        self.value = value
    }

    /// Every `key=value` token of a Data text, sorted by key as Go prints a map. Tokens without `=` are lost, and the
    /// last of two equal keys wins.
    static func parse(_ data: String) -> [EventDatum] {
        var found: [String: String] = [:]
        for token in data.utf8.split(separator: UInt8(ascii: " ")) {
            guard let equals = token.firstIndex(of: UInt8(ascii: "=")), equals != token.startIndex else { continue }
            var key = Array(token[..<equals])
            if (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(key[0]) { key[0] -= 0x20 }
            found[String(decoding: key, as: UTF8.self)] =
                String(decoding: token[token.index(after: equals)...], as: UTF8.self)
        }
        return found.map { EventDatum(key: $0.key, value: $0.value) }.sorted {
            $0.key.utf8.lexicographicallyPrecedes($1.key.utf8)
        }
    }
}

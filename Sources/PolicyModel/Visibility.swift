/// Which operations are told of although no rule is about them: KubeArmor's `visibility`.
public struct Visibility: OptionSet, Sendable, Hashable {
    /// The bits.
    public let rawValue: UInt8

    /// From the bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Executions.
    public static let process = Visibility(rawValue: 1)
    /// Opens, and calls that change files.
    public static let file = Visibility(rawValue: 2)
    /// Sockets.
    public static let network = Visibility(rawValue: 4)

    private static let words: [(name: String, value: Visibility)] = [
        ("process", .process), ("file", .file), ("network", .network), ("none", []),
        // Known to KubeArmor; nothing is told of them here.
        ("capabilities", []), ("dns", []), ("ima", []),
    ]

    /// Reads words with commas between them; `nil` when one is not known.
    public init?(words text: String) {
        var result: Visibility = []
        for word in text.split(separator: ",") {
            let name = word.drop { $0 == " " }
            guard let found = Self.words.first(where: { $0.name == name }) else { return nil }
            result.formUnion(found.value)
        }
        self = result
    }
}

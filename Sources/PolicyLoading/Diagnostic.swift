import PolicyFiles
import PolicyModel

/// A problem in a policy file, printed as `file:line:column: message`.
public struct Diagnostic: Sendable, Hashable, CustomStringConvertible {
    /// How bad it is.
    public enum Severity: Sendable, Hashable {
        /// The file is refused.
        case error
        /// The file loads; something in it has no effect.
        case warning
    }

    /// Where.
    public var position: SourcePosition
    /// How bad.
    public var severity: Severity
    /// One line; names the field.
    public let message: String

    /// Creates a diagnostic. A message that quotes the file may be long or hold control characters: it is cut after 500
    /// characters, and control characters are written as `\u{…}`, so that no file commands a terminal.
    public init(position: SourcePosition, severity: Severity = .error, message: String) {
        self.position = position
        self.severity = severity
        self.message = Self.printable(message)
    }

    private static func printable(_ text: String) -> String {
        var result = ""
        for (index, scalar) in text.unicodeScalars.enumerated() {
            if index == 500 { return result + "…" }
            switch scalar.properties.generalCategory {
            // Format characters can turn the direction of writing.
            case .control, .format, .lineSeparator, .paragraphSeparator:
                result += "\\u{\(String(scalar.value, radix: 16))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// One line for people.
    public var description: String {
        severity == .warning ? "\(position): warning: \(message)" : "\(position): \(message)"
    }
}

/// What came of loading a file: its policies, or why there are none. A file with an error yields no policy at all.
public struct LoadResult: Sendable, Equatable {
    /// In document order.
    public var policies: [Policy]
    /// In the order of their positions.
    public var diagnostics: [Diagnostic]

    /// Creates a result.
    public init(policies: [Policy] = [], diagnostics: [Diagnostic] = []) {
        self.policies = policies
        self.diagnostics = diagnostics
    }

    /// There is no error.
    public var isValid: Bool { !diagnostics.contains { $0.severity == .error } }
}

/// Bounds that are checked before or while a file is parsed.
public struct LoadingLimits: Sendable {
    /// Bytes of a file.
    public var fileBytes = PolicyFolder.fileLimit
    /// Nested collections.
    public var depth = 64
    /// Scalars and collections of a file.
    public var nodes = 200_000
    /// Documents of a file.
    public var documents = 1_000
    /// Rules of a policy, after comma expansion.
    public var rules = 20_000
    /// Problems reported of one file.
    public var diagnostics = 50

    /// The defaults.
    public init() {}
}

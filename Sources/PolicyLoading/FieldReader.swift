import PolicyModel

/// Collects the problems of one file.
///
/// Messages are made only when there is room for them: a file of a million mistakes must not cost a million searches for
/// what was meant.
final class DiagnosticSink {
    private(set) var diagnostics: [Diagnostic] = []
    private let limit: Int
    private var errors = 0
    private var warnings = 0

    init(limit: Int) { self.limit = limit }

    func error(_ position: SourcePosition, _ message: @autoclosure () -> String) {
        add(position, .error, &errors, message)
    }

    func warning(_ position: SourcePosition, _ message: @autoclosure () -> String) {
        add(position, .warning, &warnings, message)
    }

    // Counted apart: a file with many warnings still loads, and none of them hides an error.
    private func add(
        _ position: SourcePosition, _ severity: Diagnostic.Severity, _ count: inout Int, _ message: () -> String
    ) {
        count += 1
        guard count <= limit + 1 else { return }
        let noun = severity == .error ? "problems" : "warnings"
        let text = count <= limit ? message() : "more than \(limit) \(noun); the rest is not shown"
        diagnostics.append(Diagnostic(position: position, severity: severity, message: text))
    }
}

/// Reads the fields of one mapping: each once, by type; what is left over at the end is unknown and an error.
struct FieldReader {
    private let fields: [(key: String, keyPosition: SourcePosition, value: DocumentTree)]
    /// The mapping's own place in the policy, such as `spec.process`.
    let path: String
    let position: SourcePosition
    let sink: DiagnosticSink

    /// `nil`, with a problem reported, when the value is not a mapping.
    init?(_ tree: DocumentTree, path: String, sink: DiagnosticSink) {
        guard case .mapping(let fields) = tree.content else {
            sink.error(tree.position, "\(path) must be a mapping, not \(tree.kindName)")
            return nil
        }
        self.fields = fields
        self.path = path
        position = tree.position
        self.sink = sink
    }

    func name(of key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    /// The value of a field; `nil` when absent or null.
    func value(_ key: String) -> DocumentTree? {
        guard let field = fields.first(where: { $0.key == key }), !field.value.isNull else { return nil }
        return field.value
    }

    func position(of key: String) -> SourcePosition { value(key)?.position ?? position }

    /// Reports every field that is not one of these.
    func finish(_ known: [String]) {
        for field in fields where !known.contains(field.key) {
            let place = path.isEmpty ? "" : " in \(path)"
            sink.error(
                field.keyPosition, "unknown field '\(field.key)'\(place)\(Spelling.hint(field.key, in: known))")
        }
    }

    // MARK: - Types

    /// A string; `required` reports its absence.
    func string(_ key: String, required: Bool = false) -> String? {
        guard let tree = value(key) else {
            if required { sink.error(position, "\(name(of: key)) is required") }
            return nil
        }
        return text(of: tree, name(of: key))
    }

    /// The text of a string's value; `nil`, with a problem reported, when it is something else.
    func text(of tree: DocumentTree, _ name: @autoclosure () -> String) -> String? {
        guard case .scalar(let text, let isQuoted) = tree.content, !tree.isNull else {
            sink.error(tree.position, "\(name()) must be a string, not \(tree.kindName)")
            return nil
        }
        if !isQuoted && Self.isNotAString(text) {
            sink.error(tree.position, "\(name()) must be a string: quote \(text)")
            return nil
        }
        return text
    }

    func integer(_ key: String, in range: ClosedRange<Int>? = nil, required: Bool = false) -> Int? {
        guard let tree = value(key) else {
            if required { sink.error(position, "\(name(of: key)) is required") }
            return nil
        }
        guard case .scalar(let text, false) = tree.content, let number = Int(text) else {
            sink.error(tree.position, "\(name(of: key)) must be an integer, not \(tree.kindName)")
            return nil
        }
        // YAML 1.1 reads 010 as 8, JSON not at all.
        guard !Self.hasLeadingZero(text) else {
            sink.error(tree.position, "\(name(of: key)) must be an integer without leading zeros, not \(text)")
            return nil
        }
        if let range, !range.contains(number) {
            sink.error(
                tree.position,
                "\(name(of: key)) must be between \(range.lowerBound) and \(range.upperBound), not \(number)")
            return nil
        }
        return number
    }

    func boolean(_ key: String) -> Bool? {
        guard let tree = value(key) else { return nil }
        guard case .scalar(let text, false) = tree.content, let truth = Self.booleans[text] else {
            sink.error(tree.position, "\(name(of: key)) must be true or false, not \(tree.kindName)")
            return nil
        }
        return truth
    }

    func strings(_ key: String, limit: Int = 1000) -> [String] {
        items(key, limit: limit).compactMap { text(of: $0.tree, $0.path) }
    }

    /// The items of a list field, each with its path; empty when absent.
    func items(_ key: String, limit: Int = 100_000) -> [(tree: DocumentTree, path: String)] {
        guard let tree = value(key) else { return [] }
        guard case .sequence(let items) = tree.content else {
            sink.error(tree.position, "\(name(of: key)) must be a list, not \(tree.kindName)")
            return []
        }
        if items.count > limit {
            sink.error(tree.position, "\(name(of: key)) has \(items.count) items, more than \(limit)")
            return []
        }
        return items.enumerated().map { (tree: $1, path: "\(name(of: key))[\($0)]") }
    }

    /// A reader for a mapping field; `nil` when absent.
    func reader(_ key: String) -> FieldReader? {
        value(key).flatMap { FieldReader($0, path: name(of: key), sink: sink) }
    }

    /// YAML 1.1's words, as the API server's conversion to JSON reads them.
    static let booleans: [String: Bool] = [
        "true": true, "True": true, "TRUE": true, "false": false, "False": false, "FALSE": false, "yes": true,
        "Yes": true,
        "YES": true, "no": false, "No": false, "NO": false, "on": true, "On": true, "ON": true, "off": false,
        "Off": false,
        "OFF": false,
    ]

    private static func hasLeadingZero(_ number: String) -> Bool {
        let digits = number.drop { $0 == "-" || $0 == "+" }
        return digits.count > 1 && digits.first == "0"
    }

    /// A plain scalar that YAML reads as something else than a string.
    static func isNotAString(_ text: String) -> Bool {
        booleans[text] != nil || Int(text) != nil || (Double(text) != nil && text.contains { $0.isNumber })
    }
}

/// Finds what a misspelt word was meant to be.
enum Spelling {
    /// ` (did you mean 'x'?)`, or nothing.
    static func hint(_ word: String, in words: some Sequence<String>) -> String {
        nearest(word, in: words.sorted()).map { " (did you mean '\($0)'?)" } ?? ""
    }

    /// The nearest of the words, when it is near enough to be meant.
    static func nearest(_ word: String, in words: [String]) -> String? {
        // No known word is longer.
        guard word.utf8.count <= 64 else { return nil }
        let lowered = word.lowercased()
        let scored = words.map { (word: $0, distance: distance(lowered, $0.lowercased())) }
        guard let best = scored.min(by: { $0.distance < $1.distance }), best.distance <= max(1, word.count / 3) else {
            return nil
        }
        return best.word
    }

    private static func distance(_ a: String, _ b: String) -> Int {
        let (a, b) = (Array(a.utf8), Array(b.utf8))
        var row = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, y) in b.enumerated() {
                let above = row[j + 1]
                row[j + 1] = min(above + 1, row[j] + 1, diagonal + (x == y ? 0 : 1))
                diagonal = above
            }
        }
        return row[b.count]
    }
}

import PolicyModel
import Yams

/// A YAML or JSON value with its place.
struct DocumentTree {
    indirect enum Content {
        /// A plain scalar's text and whether it was quoted.
        case scalar(String, isQuoted: Bool)
        case sequence([DocumentTree])
        case mapping([(key: String, keyPosition: SourcePosition, value: DocumentTree)])
    }

    var content: Content
    var position: SourcePosition

    /// Whether it is `null`, `~` or nothing.
    var isNull: Bool {
        guard case .scalar(let text, let isQuoted) = content else { return false }
        return !isQuoted && ["", "~", "null", "Null", "NULL"].contains(text)
    }

    /// The word for this kind of value in messages.
    var kindName: String {
        switch content {
        case .scalar(let text, let isQuoted):
            if isNull { return "null" }
            if isQuoted { return "a string" }
            if FieldReader.booleans[text] != nil { return "a boolean" }
            return FieldReader.isNotAString(text) ? "a number" : "a string"
        case .sequence: return "a list"
        case .mapping: return "a mapping"
        }
    }
}

/// Parses text into trees, within limits.
struct TreeParser {
    let file: String
    let limits: LoadingLimits

    /// A refusal with its place.
    struct Refusal: Error {
        let diagnostic: Diagnostic
    }

    /// The documents of the text; empty documents are left out.
    func parse(_ bytes: [UInt8]) throws(Refusal) -> [DocumentTree] {
        if let problem = LexicalScan(file: file, limits: limits).problem(bytes) { throw Refusal(diagnostic: problem) }
        // A byte order mark is no character of the first line.
        let text = String(
            decoding: bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes.dropFirst(3) : bytes[...], as: UTF8.self)
        var trees: [DocumentTree] = []
        var budget = limits.nodes
        do {
            let parser = try Yams.Parser(yaml: text, encoding: .utf8)
            while let node = try parser.nextRoot() {
                let tree = try convert(node, depth: 0, budget: &budget)
                if tree.isNull { continue }
                trees.append(tree)
                if trees.count > limits.documents {
                    throw refuse(tree.position, "more than \(limits.documents) documents")
                }
            }
        } catch let refusal as Refusal {
            throw refusal
        } catch let error as YamlError {
            throw Refusal(diagnostic: describe(error))
        } catch {
            throw refuse(SourcePosition(file: file, line: 1, column: 1), "\(error)")
        }
        return trees
    }

    private func refuse(_ position: SourcePosition, _ message: String) -> Refusal {
        Refusal(diagnostic: Diagnostic(position: position, message: message))
    }

    private func place(_ mark: Mark?) -> SourcePosition {
        SourcePosition(file: file, line: mark?.line ?? 1, column: mark?.column ?? 1)
    }

    private func convert(_ node: Node, depth: Int, budget: inout Int) throws(Refusal) -> DocumentTree {
        let position = place(node.mark)
        budget -= 1
        if budget < 0 { throw refuse(position, "more than \(limits.nodes) values in one file") }
        if depth > limits.depth { throw refuse(position, "nested more than \(limits.depth) levels deep") }
        switch node {
        case .scalar(let scalar):
            if scalar.anchor != nil { throw refuse(position, "anchors and aliases are not permitted") }
            try checkTag(scalar.tag, position)
            let isQuoted = scalar.style != .plain && scalar.style != .any
            return DocumentTree(content: .scalar(scalar.string, isQuoted: isQuoted), position: position)
        case .sequence(let sequence):
            if sequence.anchor != nil { throw refuse(position, "anchors and aliases are not permitted") }
            try checkTag(sequence.tag, position)
            var items: [DocumentTree] = []
            for item in sequence { items.append(try convert(item, depth: depth + 1, budget: &budget)) }
            return DocumentTree(content: .sequence(items), position: position)
        case .mapping(let mapping):
            if mapping.anchor != nil { throw refuse(position, "anchors and aliases are not permitted") }
            try checkTag(mapping.tag, position)
            var pairs: [(String, SourcePosition, DocumentTree)] = []
            for (key, value) in mapping {
                guard case .scalar(let name) = key else { throw refuse(place(key.mark), "a key must be a string") }
                if name.string == "<<", name.style == .plain {
                    throw refuse(place(key.mark), "merge keys are not permitted")
                }
                pairs.append((name.string, place(key.mark), try convert(value, depth: depth + 1, budget: &budget)))
            }
            return DocumentTree(
                content: .mapping(pairs.map { (key: $0.0, keyPosition: $0.1, value: $0.2) }), position: position)
        case .alias:
            throw refuse(position, "anchors and aliases are not permitted")
        }
    }

    private func checkTag(_ tag: Tag, _ position: SourcePosition) throws(Refusal) {
        // An implicit tag is empty or the non-specific "!".
        let name = tag.description
        if !name.isEmpty && name != "!" && !name.hasPrefix("tag:yaml.org,2002:str")
            && !name.hasPrefix("tag:yaml.org,2002:map")
            && !name.hasPrefix("tag:yaml.org,2002:seq")
        {
            throw refuse(position, "the tag '\(name)' is not permitted")
        }
    }

    private func describe(_ error: YamlError) -> Diagnostic {
        func report(_ mark: Mark?, _ message: String) -> Diagnostic {
            Diagnostic(position: place(mark), message: message.split(separator: "\n").joined(separator: " "))
        }
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            return report(mark, "not YAML: \(problem)")
        case .duplicatedKeysInMapping(let duplicates, let context):
            return report(context.mark, "the key '\(duplicates.first ?? "")' is given more than once")
        case .reader(let problem, let offset, _, _): return report(nil, "not YAML: \(problem) at byte \(offset ?? 0)")
        default: return report(nil, "not YAML")
        }
    }
}

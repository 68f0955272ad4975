import PolicyModel

/// Reads whom a policy is for.
struct SelectorDecoder {
    let sink: DiagnosticSink

    func decode(_ spec: FieldReader, _ kind: PolicyKind) -> Selector {
        switch kind {
        case .host:
            guard let reader = spec.reader("nodeSelector") else {
                if spec.value("nodeSelector") == nil { sink.error(spec.position, "spec.nodeSelector is required") }
                return Selector()
            }
            let result = selector(reader, ["matchLabels", "matchExpressions"], keys: nil)
            if result == Selector() { sink.warning(reader.position, "spec.nodeSelector selects no node: it is empty") }
            return result
        case .container:
            return spec.reader("selector").map { selector($0, ["matchLabels", "matchExpressions"], keys: ["label"]) }
                ?? Selector()
        case .cluster:
            return spec.reader("selector").map { selector($0, ["matchExpressions"], keys: ["namespace", "label"]) }
                ?? Selector()
        case .network:
            let node = spec.reader("nodeSelector").map { selector($0, ["matchLabels"], keys: nil) }
            let pod = spec.reader("selector").map {
                selector($0, ["matchLabels", "matchExpressions"], keys: ["label"])
            }
            // Both at once is an error, unless the second is empty.
            return node ?? pod ?? Selector()
        }
    }

    private func selector(_ reader: FieldReader, _ fields: [String], keys: [String]?) -> Selector {
        reader.finish(fields)
        var result = Selector()
        if fields.contains("matchLabels"), let tree = reader.value("matchLabels") {
            guard case .mapping(let pairs) = tree.content else {
                sink.error(tree.position, "\(reader.name(of: "matchLabels")) must be a mapping, not \(tree.kindName)")
                return result
            }
            for pair in pairs {
                guard let value = pair.value.isNull ? "" : reader.text(of: pair.value, "the label '\(pair.key)'") else {
                    continue
                }
                result.labels.append(Selector.Label(key: pair.key, value: value))
            }
            result.labels.sort { $0.key < $1.key }
        }
        for item in reader.items("matchExpressions") {
            guard let expression = FieldReader(item.tree, path: item.path, sink: sink) else { continue }
            expression.finish(["key", "operator", "values"])
            guard let key = expression.string("key", required: true),
                let word = expression.string("operator", required: true)
            else { continue }
            if let keys, !keys.contains(key) {
                sink.error(
                    expression.position(of: "key"),
                    "\(expression.name(of: "key")) must be \(keys.joined(separator: " or ")), not '\(key)'")
            }
            guard let relation = Selector.Relation(rawValue: word),
                keys == nil || relation == .isIn || relation == .isNotIn
            else {
                sink.error(
                    expression.position(of: "operator"),
                    "\(expression.name(of: "operator")) must be In or NotIn, not '\(word)'")
                continue
            }
            result.expressions.append(
                Selector.Expression(key: key, relation: relation, values: expression.strings("values")))
        }
        return result
    }
}

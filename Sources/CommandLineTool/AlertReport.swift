import ClientSupport
import ControlJSON
import ControlProtocol

/// An alert as `karmor logs` prints it: a heading and one `Key: value` line a field.
struct AlertReport {
    /// The fields that come first, in karmor's order; all others follow by name.
    private static let leading = [
        "ClusterName", "HostName", "NamespaceName", "PodName", "Labels", "ContainerName", "ContainerID",
        "ContainerImage",
        "Type", "PolicyName", "Severity", "Message", "Source", "Resource", "Operation", "Action", "Data", "EventData",
        "Enforcer", "Result",
    ]
    /// In the heading.
    private static let times: Set<String> = ["UpdatedTime", "Timestamp"]

    /// An alert's JSON text, as the agent sent it.
    let json: String
    let style: TextStyle

    /// What is no JSON object is shown as it is, but harmless.
    var lines: [String] {
        guard let fields = try? ControlCoding.decode([String: JSONValue].self, Array(json.utf8)) else {
            return [SafeText.line(json)]
        }
        let time = (fields["UpdatedTime"] ?? fields["Timestamp"])?.text ?? ""
        var lines = [style.bold("== Alert / \(SafeText.line(Self.spaced(time))) ==")]
        for name in Self.leading { add(name, fields, &lines) }
        for name in fields.keys.sorted() where !Self.leading.contains(name) && !Self.times.contains(name) {
            add(name, fields, &lines)
        }
        return lines
    }

    private func add(_ name: String, _ fields: [String: JSONValue], _ lines: inout [String]) {
        guard let value = fields[name]?.text, !value.isEmpty else { return }
        let text = SafeText.line(value)
        let isDenied = name == "Result" && value != "Passed" || name == "Action" && value == "Block"
        lines.append("\(SafeText.line(name)): \(isDenied ? style.red(text) : text)")
    }

    /// `2024-01-02T03:04:05.678Z` as karmor shows it: `2024-01-02 03:04:05.678`.
    private static func spaced(_ time: String) -> String {
        guard time.hasSuffix("Z"), let separator = time.firstIndex(of: "T") else { return time }
        return time[..<separator] + " " + time[time.index(after: separator)...].dropLast()
    }
}

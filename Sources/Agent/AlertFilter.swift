import FoundationEssentials

/// The filters of `portcullis logs`: field names and texts that the fields must contain.
enum AlertFilter {
    /// Whether a KubeArmor-shaped JSON line satisfies every filter. Text is compared without regard to case.
    static func matches(_ json: [UInt8], _ filters: [String: String]) -> Bool {
        guard !filters.isEmpty else { return true }
        guard let fields = try? JSONDecoder().decode([String: Field].self, from: Data(json)) else { return false }
        return filters.allSatisfy { name, wanted in
            guard let field = fields.first(where: { $0.key.lowercased() == name.lowercased() })?.value else {
                return false
            }
            return field.text.lowercased().contains(wanted.lowercased())
        }
    }

    private struct Field: Decodable {
        let text: String

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let string = try? container.decode(String.self) {
                text = string
            } else if let number = try? container.decode(Int64.self) {
                text = String(number)
            } else if let list = try? container.decode([String].self) {
                text = list.joined(separator: ",")
            } else {
                text = ""
            }
        }
    }
}

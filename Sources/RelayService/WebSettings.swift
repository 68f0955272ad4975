/// Where web page, metrics and health are.
package struct WebSettings: Sendable, Equatable {
    /// `ADDRESS:PORT`, by TLS; empty for nowhere.
    package var listen = ""

    /// The defaults.
    package init() {}

    static func parse(_ node: ConfigurationNode) throws -> WebSettings {
        var result = WebSettings()
        for (key, value) in try node.fields() {
            switch key {
            case "listen": result.listen = try value.place()
            default: throw value.problem("unknown key '\(key)'")
            }
        }
        return result
    }
}

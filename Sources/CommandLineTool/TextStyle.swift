import Glibc

/// Bold and colour, for people at a terminal only.
struct TextStyle {
    /// Whether escape sequences are written at all.
    let isEnabled: Bool

    /// Styled when standard output is a terminal; `NO_COLOR` and `TERM=dumb` turn it off.
    static let standardOutput = TextStyle(
        isEnabled: isatty(1) == 1 && getenv("NO_COLOR") == nil
            && getenv("TERM").map { String(cString: $0) != "dumb" } ?? false)

    static let plain = TextStyle(isEnabled: false)

    func bold(_ text: String) -> String { wrap("1", text) }
    func red(_ text: String) -> String { wrap("31", text) }
    func green(_ text: String) -> String { wrap("32", text) }
    func yellow(_ text: String) -> String { wrap("33", text) }

    private func wrap(_ code: String, _ text: String) -> String {
        isEnabled && !text.isEmpty ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
    }
}

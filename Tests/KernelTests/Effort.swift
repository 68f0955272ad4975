import Foundation

/// How much the tests do: everything, or, with PORTCULLIS_TEST_EFFORT=guest, little enough for an emulated processor. Every test runs either way; what is less is how often, and of how many alike.
enum Effort {
    static let isReduced = ProcessInfo.processInfo.environment["PORTCULLIS_TEST_EFFORT"] == "guest"

    /// How often something is done.
    static func times(_ count: Int) -> Int { isReduced ? max(5, count / 20) : count }

    /// How long something goes on.
    static func seconds(_ count: Int) -> Int { isReduced ? max(1, count / 4) : count }

    /// How long something is waited for: everything takes longer there.
    static func patience(_ seconds: Double) -> Double { isReduced ? seconds * 8 : seconds }

    /// The cases of a test: of many alike some, from all over the list.
    static func some<Case>(of cases: [Case]) -> [Case] {
        let limit = 8
        guard isReduced, cases.count > limit else { return cases }
        return (0..<limit).map { cases[$0 * cases.count / limit] }
    }
}

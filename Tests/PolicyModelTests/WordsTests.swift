import Testing

@testable import PolicyModel

@Suite("Words of the policy language")
struct WordsTests {
    @Test func actionsAndPosturesHaveTheirPublishedWords() {
        #expect(RuleAction.allCases.map(\.name) == ["Allow", "Audit", "Block"])
        #expect(Posture.allCases.map(\.name) == ["allow", "audit", "block"])
        #expect(
            PolicyKind.allCases.map(\.rawValue) == [
                "KubeArmorPolicy", "KubeArmorHostPolicy", "KubeArmorClusterPolicy", "KubeArmorNetworkPolicy",
            ])
    }

    @Test func positionsPrintAsEditorsReadThem() {
        #expect(SourcePosition(file: "a.yaml", line: 3, column: 7).description == "a.yaml:3:7")
    }

    @Test func posturesDefaultToAudit() {
        #expect(Postures() == Postures(file: .audit, network: .audit, capabilities: .audit))
    }
}

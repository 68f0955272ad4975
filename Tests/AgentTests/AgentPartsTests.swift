import ControlProtocol
import FileEnforcement
import Foundation
import PolicyEngine
import PolicyLoading
import PolicyModel
import Testing

@testable import Agent
@testable import AgentCore

@Suite("Parts of the agent")
struct AgentPartsTests {
    static func policy(_ name: String, labels: String = "kubearmor.io/hostname: \"*\"", path: String = "/x/y") -> String
    {
        """
        apiVersion: security.kubearmor.com/v1
        kind: KubeArmorHostPolicy
        metadata: {name: \(name)}
        spec:
          nodeSelector:
            matchLabels: {\(labels)}
          file: {matchPaths: [{path: \(path)}]}
          action: Block

        """
    }

    private func load(_ text: String) throws -> [Policy] {
        let result = PolicyDocumentLoader().load(bytes: Array(text.utf8), file: "t.yaml")
        try #require(result.isValid, "\(result.diagnostics)")
        return result.policies
    }

    @Test func settingsSurviveTheWayToTheRoles() {
        var settings = AgentSettings()
        settings.policyPaths = ["/a b", "/c=d"]
        settings.nodeLabels = ["k=v", "empty="]
        settings.alertsPath = "/var/log/alerts=1.jsonl"
        settings.postures = Postures(file: .block, network: .allow, capabilities: .audit)
        settings.failures.set(.workerLost, allow: true)
        settings.killStaleDescriptors = true
        settings.cachesAllows = false
        settings.throttleSec = 7
        #expect(AgentSettings(encoded: settings.encoded()) == settings)
        #expect(AgentSettings(encoded: Array("nonsense=1\0".utf8)) == nil)
        #expect(AgentSettings(encoded: Array("maxAlertPerSec=many\0".utf8)) == nil)
    }

    @Test func messagesAreReadBackAndNothingElseIs() {
        let message = ChannelMessage(.policyFile, number: 0x0102_0304_0506_0708, text: "/etc/x")
        #expect(ChannelMessage(bytes: message.bytes) == message)
        #expect(ChannelMessage(bytes: []) == nil)
        #expect(ChannelMessage(bytes: Array(message.bytes.prefix(8))) == nil)
        #expect(ChannelMessage(bytes: [250] + message.bytes.dropFirst()) == nil)
        let long = ChannelMessage(.policyFile, text: String(repeating: "x", count: 100_000))
        #expect(long.bytes.count == ChannelMessage.limit)
    }

    @Test func planNotesTravel() {
        let notes = PlanNote.Gap.allCases.enumerated().map {
            PlanNote(rule: RuleID(rawValue: UInt32($0.offset) * 70_000), gap: $0.element)
        }
        let all = [SnapshotBundle.host: notes, SnapshotBundle.container(7): Array(notes.prefix(2))]
        #expect(PlanReport.decode(PlanReport.encode(all)) == all)
        #expect(PlanReport.decode([1, 2, 3, 4, 99, 1]) == [:])
    }

    @Test func aHeldEventIsToldInFull() throws {
        let event = Caretaker.HeldEvent(
            group: 3, descriptor: 17, mask: 0x4_0000, thread: 4711, isOfContainers: true)
        let parsed = try #require(Caretaker.HeldEvent.parse(event.message))
        #expect(parsed.mask == 0x4_0000 && parsed.thread == 4711 && parsed.isOfContainers)
        #expect(event.message.number == 17)
        #expect(Caretaker.HeldEvent.parse(ChannelMessage(.adopt, text: [1, 2])) == nil)
    }

    // MARK: - Selection

    @Test(arguments: [
        ("kubearmor.io/hostname: \"*\"", true), ("kubearmor.io/hostname: node1", true),
        ("kubearmor.io/hostname: \"node0, node1\"", true), ("kubernetes.io/hostname: other", false),
        ("role: db", true), ("role: web", false), ("role: \"*\"", false),
        ("role: db, kubearmor.io/hostname: other", false),
    ])
    func hostPoliciesAreSelectedByLabels(labels: String, expected: Bool) throws {
        let node = NodeLabels(host: "node1", further: ["role=db"])
        let policy = try #require(try load(Self.policy("p", labels: labels)).first)
        #expect(node.select(policy) == expected)
    }

    @Test func aPolicyThatNamesNobodyIsForNobody() throws {
        var policy = try #require(try load(Self.policy("p")).first)
        policy.selector = Selector()
        #expect(!NodeLabels(host: "n").select(policy))
        policy.kind = .container
        #expect(!NodeLabels(host: "n").select(policy))
    }

    // MARK: - Store

    @Test func aFileThatNoLongerLoadsKeepsItsPolicies() throws {
        var store = PolicyStore()
        let good = PolicyDocumentLoader().load(bytes: Array(Self.policy("a").utf8), file: "a.yaml")
        let bad = PolicyDocumentLoader().load(bytes: Array("kind: [".utf8), file: "a.yaml")
        let first = store.replaceFiles(["a.yaml": good])
        #expect(first.isEmpty)
        let second = store.replaceFiles(["a.yaml": bad])
        #expect(!second.isEmpty)
        #expect(store.policies.map(\.name) == ["a"])
        let third = store.replaceFiles([:])
        #expect(third.isEmpty)
        #expect(store.policies.isEmpty)
    }

    @Test func anAppliedPolicyReplacesAFilesOfTheSameNameAndGivesItBack() throws {
        var store = PolicyStore()
        _ = store.replaceFiles([
            "a.yaml": PolicyDocumentLoader().load(bytes: Array(Self.policy("a").utf8), file: "a.yaml")
        ])
        store.apply(try load(Self.policy("a", path: "/other")))
        #expect(store.policies.count == 1)
        #expect(store.policies.first?.file.first?.subject == .path("/other"))
        let key = PolicyStore.Key(kind: .host, namespace: "", name: "a")
        let deleted = store.delete(key)
        #expect(deleted == .deleted)
        #expect(store.policies.first?.file.first?.subject == .path("/x/y"))
        let again = store.delete(key)
        #expect(again == .inFile("a.yaml"))
        let other = store.delete(PolicyStore.Key(kind: .host, namespace: "", name: "b"))
        #expect(other == .absent)
    }

    @Test func documentsOfAnAppliedFileAreKeptApart() throws {
        let text = Self.policy("a") + "---\n" + Self.policy("b") + "--- # third\n" + Self.policy("c")
        let pieces = try #require(AppliedPolicyFiles.split(text, name: "t", expecting: try load(text)))
        #expect(pieces.map(\.policy.name) == ["a", "b", "c"])
        for piece in pieces { #expect(try load(piece.text).map(\.name) == [piece.policy.name]) }
        #expect(AppliedPolicyFiles.split(Self.policy("a"), name: "t", expecting: try load(text)) == nil)
    }

    // MARK: - Names

    @Test func everyNameOfAPolicyIsResolved() throws {
        var policy = try #require(try load(Self.policy("p", path: "/bin/ls")).first)
        let attributes = RuleAttributes(action: .block)
        var rule = ProcessRule(subject: .pattern("/sbin/*sh"), attributes: attributes, position: policy.position)
        rule.sources = ["/bin/bash"]
        policy.process = [
            rule, ProcessRule(subject: .execname("nc"), attributes: attributes, position: policy.position),
            ProcessRule(
                subject: .directory("/lib/", recursive: true), attributes: attributes, position: policy.position),
            ProcessRule(subject: .pattern("/*"), attributes: attributes, position: policy.position),
        ]
        #expect(PathAlias.names(in: [policy]) == ["/bin/bash", "/bin/ls", "/lib/", "/sbin/"])
        let pairs = NameResolution.encode(["/bin/ls", "/usr/bin/ls", "/lib/", "/usr/lib/"])
        #expect(
            NameResolution.aliases(pairs)[0] == [
                PathAlias(literal: "/bin/ls", canonical: "/usr/bin/ls"),
                PathAlias(literal: "/lib/", canonical: "/usr/lib/"),
            ])
    }

    // MARK: - Trees

    @Test func aCandidateIsReadAsItWasWritten() {
        let candidate = TreeKeeper.Candidate(pid: 4242, listener: 0, user: .max, workload: .max, isEntered: true)
        #expect(TreeKeeper.Candidate(candidate.text) == candidate)
        for text in [
            "", "1 2 3", "1 2 3 4", "2 -2 3 4 0", "2 3 4 -1 0", "2 3 4 5 6", "a 3 4 5 0",
            "2 3 4 18446744073709551616 0",
            "4294967298 3 4 5 0", "2 3 4 5",
        ] {
            #expect(TreeKeeper.Candidate(Array(text.utf8)) == nil, "\(text)")
        }
    }

    @Test func aTreesPoliciesAreFoundAgainAndRemoved() throws {
        let directory = NSTemporaryDirectory() + "/portcullis-trees-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        func document(_ name: String) -> PolicyDocument {
            PolicyDocument(
                name: "\(name).yaml",
                text: """
                    apiVersion: security.kubearmor.com/v1
                    kind: KubeArmorPolicy
                    metadata: {name: \(name), namespace: n}
                    spec: {selector: {matchLabels: {a: b}}, process: {matchPaths: [{path: /bin/x}]}, action: Block}
                    """)
        }
        let files = TreePolicyFiles(directory: directory)
        try files.save([document("a"), document("b")], of: 7)
        try files.save([document("c")], of: 77)
        #expect(files.load().mapValues { $0.map(\.name) } == [7: ["a", "b"], 77: ["c"]])
        files.remove(7)
        #expect(files.load().mapValues { $0.map(\.name) } == [77: ["c"]])
        files.clear()
        #expect(files.load().isEmpty)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory).isEmpty)
    }

    // MARK: - Filters

    @Test(
        arguments: [
            (["PolicyName": "p1"], true), (["policyname": "P1"], true), (["Resource": "shadow"], true),
            (["HostPID": "42"], true), (["ATags": "b"], true), (["PolicyName": "other"], false),
            (["Nothing": ""], false),
            (["PolicyName": "p1", "Resource": "nope"], false), ([:], true),
        ] as [([String: String], Bool)])
    func alertsAreFilteredByFields(filters: [String: String], expected: Bool) {
        let json =
            #"{"PolicyName":"p1","Resource":"/etc/shadow","HostPID":42,"ATags":["a","b"],"ExecEvent":{"ExecID":"0"}}"#
        #expect(AlertFilter.matches(Array(json.utf8), filters) == expected)
    }
}

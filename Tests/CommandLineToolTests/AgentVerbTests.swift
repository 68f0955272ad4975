import ControlJSON
import ControlProtocol
import Foundation
import Testing

@Suite struct AgentVerbTests {
    static let policy = """
        apiVersion: security.kubearmor.com/v1
        kind: KubeArmorHostPolicy
        metadata:
          name: no-shadow
        spec:
          nodeSelector:
            matchLabels:
              kubearmor.io/hostname: "*"
          file:
            matchPaths:
            - path: /etc/shadow
          action: Block

        """

    let folder: TestFolder

    init() throws { folder = try TestFolder() }

    private func tool(
        _ arguments: String..., on agent: FakeAgent, input: String = ""
    ) throws -> ToolRun {
        try ToolRun(arguments, input: input, environment: [DefaultPaths.socketVariable: agent.socket])
    }

    @Test func applySendsEveryDocumentInOneRequest() throws {
        let agent = try FakeAgent(in: folder, .answer { _ in [.done(messages: ["one", "tw\u{1B}o"])] })
        defer { agent.stop() }
        let first = try folder.write("policies/a.yaml", Self.policy)
        let second = try folder.write("policies/sub/b.json", "{}")
        try folder.write("policies/readme.txt", "no policy")
        let run = try tool("apply", "-f", folder.path + "/policies", "-f", "-", on: agent, input: "from here")
        #expect(run.status == 0)
        #expect(run.output == "one\ntw\\x1bo\n")
        #expect(
            agent.requests == [
                .apply(
                    documents: [
                        PolicyDocument(name: first, text: Self.policy), PolicyDocument(name: second, text: "{}"),
                        PolicyDocument(name: "<stdin>", text: "from here"),
                    ], dryRun: false)
            ])
        #expect(
            try tool("apply", "--dry-run", "-f", first, "--json", on: agent).output
                == #"{"messages":["one","tw\u001bo"]}"# + "\n")
        #expect(
            agent.requests.last == .apply(documents: [PolicyDocument(name: first, text: Self.policy)], dryRun: true))
    }

    @Test(arguments: [1, 1999, 2000, 2001, 4000, 5003]) func aLongStatusIsAskedForInPages(count: Int) throws {
        let rules = (0..<count).map { number in
            RuleCoverage(
                policy: "p\(number)", category: "file", subject: "/x", action: "Block", position: "f:1:1",
                enforcedBy: [], gaps: [])
        }
        let agent = try FakeAgent(
            in: folder,
            .answer { request in
                if case .rules(let start) = request {
                    return [
                        .rules(Array(rules.dropFirst(start).prefix(AgentStatus.rulePage)), generation: 7)
                    ]
                }
                return [
                    .status(
                        AgentStatus(
                            version: "1", host: "h", generation: 7, processes: [:], counters: [:], failures: [],
                            rules: Array(rules.prefix(AgentStatus.rulePage)), gaps: []))
                ]
            })
        defer { agent.stop() }
        let run = try tool("status", "--json", on: agent)
        let status = try JSONDecoder().decode(AgentStatus.self, from: Data(run.output.utf8))
        #expect(status.rules == rules)
    }

    @Test func aRefusalIsOneLineAReasonAndExitCodeOne() throws {
        let agent = try FakeAgent(in: folder, .answer { _ in [.failed(messages: ["a:1:1: bad", "b:2:2: worse"])] })
        defer { agent.stop() }
        let run = try tool("apply", "-f", "-", on: agent)
        #expect(run.status == 1)
        #expect(run.output == "")
        #expect(run.error == "portcullis: a:1:1: bad\nportcullis: b:2:2: worse\n")
    }

    @Test func whatTheAgentDoesNotPermitIsExitCodeFour() throws {
        let agent = try FakeAgent(in: folder, .answer { _ in [.notPermitted(message: "root only")] })
        defer { agent.stop() }
        for verb in [
            ["status"], ["get", "policies"], ["logs"], ["unlock"], ["delete", "hsp", "x"], ["apply", "-f", "-"],
        ] {
            let run = try ToolRun(verb + ["--socket", agent.socket])
            #expect(run.status == 4, "\(verb)")
            #expect(run.error == "portcullis: root only\n")
        }
    }

    /// More than a socket's buffer, so that the connection is closed while the tool still sends.
    @Test func aRefusalThatComesBeforeTheRequestIsRead() throws {
        let agent = try FakeAgent(in: folder, .refusal(.notPermitted(message: "not you")))
        defer { agent.stop() }
        let large = try folder.write("large.yaml", String(repeating: "#", count: 1 << 20))
        for _ in 0..<10 {
            let run = try tool("apply", "-f", large, on: agent)
            #expect(run.status == 4)
            #expect(run.error == "portcullis: not you\n")
        }
    }

    @Test func aFileThatCannotBeReadIsExitCodeOneAndNothingIsSent() throws {
        let agent = try FakeAgent(in: folder, .answer { _ in [.done(messages: [])] })
        defer { agent.stop() }
        let absent = try tool("apply", "-f", folder.path + "/absent", on: agent)
        #expect(absent.status == 1)
        #expect(absent.error == "portcullis: \(folder.path)/absent: No such file or directory\n")
        try folder.write("empty/readme", "")
        #expect(try tool("apply", "-f", folder.path + "/empty", on: agent).status == 1)
        let large = try folder.write("large.yaml", String(repeating: "#", count: 1 << 20) + "\n")
        #expect(try tool("apply", "-f", large, on: agent).error.contains("longer than 1048576 bytes"))
        let binary = folder.path + "/binary.yaml"
        try Data([0xFF, 0xFE]).write(to: URL(fileURLWithPath: binary))
        #expect(try tool("apply", "-f", binary, on: agent).error.contains("not UTF-8"))
        #expect(agent.requests.isEmpty)
    }

    @Test(arguments: [
        ("ksp", "KubeArmorPolicy"), ("hsp", "KubeArmorHostPolicy"), ("CSP", "KubeArmorClusterPolicy"),
        ("nsp", "KubeArmorNetworkPolicy"), ("kubearmorhostpolicy", "KubeArmorHostPolicy"),
    ])
    func deleteTakesKindAndName(_ kind: String, _ full: String) throws {
        let agent = try FakeAgent(in: folder, .answer { _ in [.done(messages: ["deleted"])] })
        defer { agent.stop() }
        let run = try tool("delete", kind, "p", "--namespace", "n", on: agent)
        #expect(run.status == 0)
        #expect(run.output == "deleted\n")
        #expect(agent.requests == [.delete(kind: full, namespace: "n", name: "p")])
    }

    @Test func deleteOfAFileGoesOnAfterOneThatIsNotThere() throws {
        let agent = try FakeAgent(
            in: folder,
            .answer { request in
                guard case .delete(_, _, "no-shadow") = request else { return [.done(messages: ["deleted"])] }
                return [.failed(messages: ["no-shadow: not applied"])]
            })
        defer { agent.stop() }
        let other = Self.policy.replacingOccurrences(of: "no-shadow", with: "other")
        let run = try tool("delete", "-f", "-", on: agent, input: Self.policy + "---\n" + other)
        #expect(run.status == 1)
        #expect(run.output == "deleted\n")
        #expect(run.error == "portcullis: no-shadow: not applied\n")
        let kind = "KubeArmorHostPolicy"
        #expect(
            agent.requests == [
                .delete(kind: kind, namespace: "", name: "no-shadow"),
                .delete(kind: kind, namespace: "", name: "other"),
            ])
        let invalid = try tool("delete", "-f", "-", on: agent, input: "kind: Nonsense\n")
        #expect(invalid.status == 1)
        #expect(invalid.error.contains("<stdin>:1:"))
        #expect(agent.requests.count == 2)
    }

    @Test func getPoliciesIsATableOrAnArray() throws {
        let policies = [
            PolicySummary(
                kind: "KubeArmorHostPolicy", namespace: "", name: "a", action: "Block", rules: 2, origin: "applied",
                selected: true),
            PolicySummary(
                kind: "KubeArmorPolicy", namespace: "ns", name: "b", action: "Audit", rules: 10, origin: "/p/b.yaml",
                selected: false),
        ]
        let agent = try FakeAgent(in: folder, .answer { _ in [.policies(policies)] })
        defer { agent.stop() }
        #expect(
            try tool("get", "policies", on: agent).output == """
                KIND                 NAMESPACE  NAME  ACTION  RULES  IN FORCE  ORIGIN
                KubeArmorHostPolicy  -          a     Block   2      yes       applied
                KubeArmorPolicy      ns         b     Audit   10     no        /p/b.yaml

                """)
        let json = Array(try tool("get", "policies", "b", "--json", on: agent).output.utf8)
        #expect(try ControlCoding.decode([PolicySummary].self, json) == [policies[1]])
        #expect(try tool("get", "policies", "c", on: agent).status == 1)
        #expect(agent.requests == [.policies, .policies, .policies])
    }

    @Test func statusIsTheReportOrTheAgentsObject() throws {
        let agent = try FakeAgent(in: folder, .answer { _ in [.status(StatusReportTests.status)] })
        defer { agent.stop() }
        let text = try tool("status", on: agent)
        #expect(text.status == 0)
        #expect(text.output.hasPrefix("Agent:       portcullisd 1.2.3\nHost:        n1\n"))
        #expect(!text.output.contains("\u{1B}"), "there is no terminal")
        let json = Array(try tool("status", "--json", on: agent).output.utf8)
        #expect(try ControlCoding.decode(AgentStatus.self, json) == StatusReportTests.status)
    }

    @Test func logsStreamUntilTheLimit() throws {
        let lines = ["{\"Result\":\"Passed\",\"Severity\":\"1\"}", "{\"Source\":\"a\\u001bb\u{9B}\"}", "{\"PID\":3}"]
        let agent = try FakeAgent(
            in: folder,
            .answer { _ in [.alert(json: lines[0]), .lost(count: 4)] + lines[1...].map { .alert(json: $0) } })
        defer { agent.stop() }
        let raw = try tool("logs", "--json", "--limit", "2", "--filter", "Result=Pass", "--filter", "A=b=c", on: agent)
        #expect(raw.status == 0)
        #expect(raw.output == "{\"Result\":\"Passed\",\"Severity\":\"1\"}\n{\"Source\":\"a\\u001bb\\u009b\"}\n")
        #expect(raw.error == "portcullis: 4 alerts were lost: this reader is too slow\n")
        #expect(agent.requests == [.logs(filters: ["Result": "Pass", "A": "b=c"])])
        let text = try tool("logs", on: agent)
        #expect(text.status == 3, "the agent has ended the stream")
        #expect(
            text.output == """
                == Alert /  ==
                Severity: 1
                Result: Passed
                == Alert /  ==
                Source: a\\x1bb\\x9b
                == Alert /  ==
                PID: 3

                """)
    }

    @Test func withoutAnAgentTheExitCodeIsThree() throws {
        let socket = folder.path + "/none.sock"
        for verb in [
            ["status"], ["get", "policies"], ["logs"], ["unlock"], ["delete", "hsp", "x"], ["apply", "-f", "-"],
        ] {
            let run = try ToolRun(verb + ["--socket", socket])
            #expect(run.status == 3, "\(verb)")
            #expect(run.error == "portcullis: no agent answers on \(socket) (is portcullisd running?)\n")
            #expect(run.output == "")
        }
    }

    @Test func anAgentThatClosesOrTalksNonsenseIsNoAgent() throws {
        let closing = try FakeAgent(in: folder, .bytes([]))
        #expect(try tool("status", on: closing).status == 3)
        closing.stop()
        let other = try TestFolder()
        let garbled = try FakeAgent(in: other, .bytes(Array("HTTP/1.1 400 Bad Request\r\n".utf8)))
        defer { garbled.stop() }
        let run = try tool("status", on: garbled)
        #expect(run.status == 1)
        #expect(run.error.contains("no agent of this version"))
    }

    @Test func aSilentAgentDoesNotHangTheTool() throws {
        let agent = try FakeAgent(in: folder, .silence)
        defer { agent.stop() }
        #expect(try tool("status", on: agent).status == 3)
    }

    @Test func aWrongAnswerIsAFailure() throws {
        let agent = try FakeAgent(in: folder, .answer { _ in [.policies([])] })
        defer { agent.stop() }
        #expect(try tool("status", on: agent).status == 1)
        #expect(try tool("unlock", on: agent).status == 1)
    }

    @Test(.enabled(if: geteuid() == 0)) func aSocketThatMayNotBeOpenedIsExitCodeFour() throws {
        let agent = try FakeAgent(in: folder, .answer { _ in [.done(messages: [])] })
        defer { agent.stop() }
        chmod(agent.socket, 0o600)
        let run = try ToolRun(
            ["status", "--socket", agent.socket],
            prefix: ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
        #expect(run.status == 4)
        #expect(run.error == "portcullis: \(agent.socket): Permission denied\n")
        #expect(agent.requests.isEmpty)
    }
}

import ControlJSON
import ControlProtocol
import Foundation
import Testing

@Suite struct SimulateTests {
    private struct Answer: Decodable {
        struct Rule: Decodable {
            var subject: String
            var action: String
            var position: String
        }
        var verdict: String
        var reason: String
        var rule: Rule?
        var path: String?
        var selectedPolicies: Int
    }

    let folder: TestFolder
    let policies: String

    init() throws {
        folder = try TestFolder()
        policies = folder.path + "/policies"
        try folder.write("target", "text")
        try FileManager.default.createSymbolicLink(
            atPath: folder.path + "/link", withDestinationPath: folder.path + "/target")
        try folder.write(
            "policies/a.yaml",
            """
            apiVersion: security.kubearmor.com/v1
            kind: KubeArmorHostPolicy
            metadata:
              name: first
            spec:
              nodeSelector:
                matchLabels:
                  kubernetes.io/hostname: node-1
              process:
                matchPaths:
                - path: /opt/tool
                  fromSource:
                  - path: /opt/shell
                - path: /opt/args
                  allowedArgs: ["-v", "plain"]
              file:
                matchPaths:
                - path: /opt/read
                  readOnly: true
                - path: /opt/own
                  ownerOnly: true
                - path: \(folder.path)/link
                matchDirectories:
                - dir: /opt/allowed/
                  action: Allow
              network:
                matchProtocols:
                - protocol: udp
                - protocol: raw
                  action: Audit
                - protocol: sctp
              action: Block

            """)
    }

    private func simulate(_ arguments: String...) throws -> Answer {
        let run = try ToolRun(
            ["simulate", "--policies", policies, "--exe", "/opt/shell", "--host", "node-1", "--json"] + arguments)
        try #require(run.status == 0, "\(run.error)")
        return try ControlCoding.decode(Answer.self, Array(run.output.utf8))
    }

    @Test func theParentDecidesOnExecution() throws {
        let own = try simulate("--exec", "/opt/tool")
        #expect(own.verdict == "block")
        #expect(own.rule?.subject == "/opt/tool")
        #expect(own.rule?.position == "\(policies)/a.yaml:11:7")
        #expect(try simulate("--exec", "/opt/tool", "--parent", "/opt/other").verdict == "allow")
        #expect(try simulate("--exec", "/opt/other").reason == "noRule")
    }

    @Test func argumentsAreGivenWithAndWithoutDashes() throws {
        #expect(try simulate("--exec", "/opt/args").verdict == "block")
        #expect(try simulate("--exec", "/opt/args", "--args", "plain", "--arg", "-v").verdict == "allow")
        #expect(try simulate("--exec", "/opt/args", "--args", "plain", "other").verdict == "block")
    }

    @Test func filesByWriteIntentOwnerAndPosture() throws {
        #expect(try simulate("--open", "/opt/read").verdict == "allow")
        #expect(try simulate("--open", "/opt/read", "--write").verdict == "block")
        #expect(try simulate("--open", "/opt/own", "--owner", "7", "--uid", "7").verdict == "allow")
        #expect(try simulate("--open", "/opt/own", "--owner", "7", "--uid", "8").verdict == "block")
        #expect(try simulate("--open", "/opt/allowed/x").verdict == "allow")
        let unmatched = try simulate("--open", "/opt/elsewhere")
        #expect(unmatched.verdict == "audit")
        #expect(unmatched.reason == "defaultPosture")
        #expect(try simulate("--open", "/opt/elsewhere", "--posture", "file=block").verdict == "block")
        #expect(try simulate("--open", "/opt/elsewhere", "--posture", "file=allow").verdict == "allow")
    }

    @Test func symlinksAreFollowedUnlessLiteral() throws {
        let target = try simulate("--open", folder.path + "/target")
        #expect(target.verdict == "block")
        #expect(target.rule?.subject == folder.path + "/link")
        #expect(try simulate("--open", folder.path + "/link").path == folder.path + "/target")
        #expect(try simulate("--open", folder.path + "/link", "--literal").verdict == "block")
        #expect(try simulate("--open", folder.path + "/target", "--literal").verdict == "audit")
    }

    @Test func socketsAndConnections() throws {
        #expect(try simulate("--socket", "inet:dgram:0").rule?.subject == "udp")
        #expect(try simulate("--socket", "AF_INET6:SOCK_DGRAM:IPPROTO_UDP").verdict == "block")
        #expect(try simulate("--socket", "unix:dgram").verdict == "allow")
        #expect(try simulate("--socket", "17:3:0").verdict == "audit")
        #expect(try simulate("--connect", "192.0.2.1:53/udp").verdict == "block")
        #expect(try simulate("--connect", "[2001:db8::1]:443/tcp").verdict == "allow")
        #expect(try simulate("--connect", "[::1]:9/sctp").rule?.subject == "sctp")
    }

    @Test func policiesForAnotherHostDoNotHold() throws {
        let run = try ToolRun(
            "simulate", "--policies", policies, "--exe", "/x", "--host", "node-2", "--exec", "/opt/args")
        #expect(
            run.output == """
                Verdict:   allow
                Path:      /opt/args
                Rule:      none applies
                Policies:  0 of 1 are for host node-2

                """)
    }

    @Test func theReportNamesTheRule() throws {
        let run = try ToolRun(
            "simulate", "--policies", policies, "--exe", "/opt/shell", "--host", "node-1", "--exec", "/opt/tool")
        #expect(
            run.output == """
                Verdict:   block
                Path:      /opt/tool
                Policy:    KubeArmorHostPolicy first
                Rule:      process /opt/tool
                Action:    Block
                Position:  \(policies)/a.yaml:11:7
                Sources:   /opt/shell
                Policies:  1 of 1 are for host node-1

                """)
    }

    @Test func anUnknownOwnerIsAskedForOnlyWhenItMatters() throws {
        let run = try ToolRun(
            "simulate", "--policies", policies, "--exe", "/x", "--host", "node-1", "--open", "/opt/own")
        #expect(run.status == 1)
        #expect(run.error.contains("--owner"))
    }

    /// As the agent's store: a second policy of the same name takes the place of the first.
    @Test func aPolicyWrittenTwiceHoldsAsTheLastFileHasIt() throws {
        let text = try String(contentsOfFile: policies + "/a.yaml", encoding: .utf8)
        let later = try folder.write(
            "policies/b.yaml", text.replacingOccurrences(of: "/opt/args", with: "/opt/later"))
        #expect(try simulate("--exec", "/opt/args").verdict == "allow")
        let run = try simulate("--exec", "/opt/later", "--policies", policies + "/a.yaml")
        #expect(run.verdict == "block")
        #expect(run.rule?.position == "\(later):14:7")
        #expect(run.selectedPolicies == 1)
    }

    @Test func invalidPoliciesGiveNoVerdict() throws {
        let bad = try folder.write("bad.yaml", "kind: Nonsense\n")
        let run = try ToolRun("simulate", "--policies", bad, "--exe", "/x", "--exec", "/y")
        #expect(run.status == 1)
        #expect(run.output == "")
        #expect(run.error.hasPrefix("portcullis: \(bad):1:"))
    }
}

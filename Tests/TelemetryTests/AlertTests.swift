import EventRing
import Foundation
import Testing

@testable import Telemetry

@Suite("Alerts")
struct AlertTests {
    private static let builder = AlertBuilder(
        node: NodeIdentity(clusterName: "default", hostName: "node1", nodeID: "id1"), version: "9.9.9")
    private static let rule = RuleMetadata(
        policyName: "p1", severity: 5, tags: ["a", "b,c"], message: "m", action: .block, isHostPolicy: true)

    static func event(
        _ category: EnforcementEvent.Category, _ effect: EnforcementEvent.Effect = .block,
        resource: [UInt8] = Array("/etc/shadow".utf8)
    ) -> EnforcementEvent {
        var event = EnforcementEvent()
        event.category = category
        event.effect = effect
        event.wallClock = 1_765_863_439_127_331_000
        event.hostPID = 113
        event.hostPPID = 100
        event.namespacePID = 113
        // A user that no passwd file knows.
        event.uid = 3_999_999_999
        event.resource = resource
        event.executable = Array("/usr/bin/cat".utf8)
        event.parentExecutable = Array("/bin/bash".utf8)
        event.workingDirectory = Array("/home".utf8)
        event.tty = Array("pts0".utf8)
        event.comm = Array("cat".utf8)
        event.setArguments([Array("cat".utf8), Array("-n".utf8)])
        return event
    }

    private func line(
        _ event: EnforcementEvent, _ rule: RuleMetadata = rule, _ encoding: AlertEncoding = .camelCase
    ) -> String {
        String(decoding: AlertEncoder(encoding).encode(Self.builder.alert(for: event, rule: rule)), as: UTF8.self)
    }

    private func fields(_ text: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    @Test func aBlockedFileIsExactlyThisLine() {
        #expect(
            line(Self.event(.file)) == #"{"Timestamp":1765863439,"UpdatedTime":"2025-12-16T05:37:19.127331Z","#
                + #""ClusterName":"default","HostName":"node1","HostPPID":100,"HostPID":113,"PPID":100,"PID":113,"UID":-294967297,"#
                + #""ParentProcessName":"/bin/bash","ProcessName":"/usr/bin/cat","PolicyName":"p1","Severity":"5","Tags":"a,b,c","#
                + #""ATags":["a","b","c"],"Message":"m","Type":"MatchedHostPolicy","Source":"/usr/bin/cat -n","Operation":"File","#
                + #""Resource":"/etc/shadow","Data":"lsm=FILE_OPEN","EventData":{"Lsm":"FILE_OPEN"},"Enforcer":"fanotify","#
                + #""Action":"Block","Result":"Permission denied","Cwd":"/home/","TTY":"pts0","ExecEvent":{"ExecID":"0","#
                + #""ExecutableName":"cat"},"KubeArmorVersion":"9.9.9","NodeID":"id1"}"#)
    }

    /// A query: the rule's domain is the resource, the name stands in the data; a packet that told of it has no process.
    @Test func aQueryTellsItsName() throws {
        var rule = Self.rule
        rule.domain = "evil.test"
        var event = Self.event(.query, resource: Array("www.evil.test".utf8))
        var alert = try fields(line(event, rule))
        #expect(alert["Operation"] as? String == "Network" && alert["Resource"] as? String == "evil.test")
        #expect(alert["Data"] as? String == "lsm=SOCKET_SENDMSG domain=www.evil.test")
        #expect(alert["ProcessName"] as? String == "/usr/bin/cat" && alert["HostPID"] as? Int == 113)
        var flow = PacketFlow(version: 4)
        flow.transport = 17
        flow.destination = SIMD16(192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        event.callText = [UInt8](repeating: 0, count: PacketQuery.size)
        event.callText.withUnsafeMutableBytes { PacketQuery(flow: flow, type: 28).write(to: $0) }
        event.effect = .audit
        // A program that was seen to ask.
        alert = try fields(line(event, rule))
        #expect((alert["Data"] as? String)?.hasSuffix("qtype=AAAA Protocol=UDP") == true)
        #expect(alert["ProcessName"] as? String == "/usr/bin/cat")
        event.enforcer = "nftables"
        (event.hostPID, event.hostPPID, event.executable, event.comm) = (0, 0, [], [])
        alert = try fields(line(event, rule))
        #expect(
            alert["Data"] as? String
                == "kfunc=UDP_SENDSKB domain=www.evil.test daddr=192.0.2.1 qtype=AAAA Protocol=UDP")
        #expect(alert["Action"] as? String == "Audit (Block)" && alert["Result"] as? String == "Passed")
        #expect(alert["ProcessName"] == nil && alert["HostPID"] == nil && alert["UserName"] == nil)
        // Not a rule's: the name is all there is, and it cannot look like a further word.
        event.resource = Array("a=b.test".utf8)
        alert = try fields(line(event, .defaultPosture(.audit, isHostPolicy: true)))
        #expect(alert["Resource"] as? String == "a=b.test")
        #expect((alert["Data"] as? String)?.hasPrefix("lsm=SOCKET_SENDMSG domain=a?b.test daddr=") == true)
    }

    @Test func aBlockedProgramNamesItsParentAsTheSource() throws {
        let fields = try fields(line(Self.event(.process, resource: Array("/usr/bin/apt".utf8))))
        #expect(fields["Operation"] as? String == "Process")
        #expect(fields["Source"] as? String == "/bin/bash")
        #expect(fields["ProcessName"] as? String == "/usr/bin/apt")
        #expect(fields["Resource"] as? String == "/usr/bin/apt -n")
        #expect(fields["Data"] as? String == "lsm=SECURITY_BPRM_CHECK")
    }

    @Test func anAuditSaysWhichCallItWas() throws {
        var event = Self.event(.file, .audit)
        event.syscallNumber = 257
        event.openFlags = 0o2000000
        let rule = RuleMetadata(policyName: "p", action: .audit, isHostPolicy: true)
        let fields = try fields(line(event, rule))
        #expect(fields["Action"] as? String == "Audit")
        #expect(fields["Result"] as? String == "Passed")
        #expect((fields["Data"] as? String)?.hasPrefix("syscall=SYS_OPENAT") == true)
        #expect((fields["Data"] as? String)?.contains("O_RDONLY|O_CLOEXEC") == true)
        #expect(fields["Severity"] == nil)
    }

    @Test func theDefaultPostureHasNoWordsOfAPolicy() throws {
        let fields = try fields(line(Self.event(.file), .defaultPosture(.block, isHostPolicy: true)))
        #expect(fields["PolicyName"] as? String == "DefaultPosture")
        for key in ["Severity", "Tags", "ATags", "Message"] { #expect(fields[key] == nil, "\(key)") }
    }

    @Test func theDaemonsOwnFileHasItsOwnKeys() throws {
        let fields = try fields(line(Self.event(.file), Self.rule, .daemon))
        for key in [
            "timestamp", "updatedTime", "hostName", "hostPPid", "hostPid", "ppid", "pid", "uid", "oid", "result",
        ] {
            #expect(fields[key] != nil, "\(key)")
        }
        #expect(fields["policyName"] as? String == "p1")
        #expect(fields["PolicyName"] == nil)
    }

    @Test(arguments: [
        Array("/a\n{\"Action\":\"Allow\"}".utf8), Array("/a\u{1b}[2J\u{1b}]0;x\u{7}".utf8), [0x2F, 0xFF, 0xFE, 0x80],
        Array("/a\u{202e}gpj.exe".utf8), Array("/<script>alert(1)</script>".utf8), Array("/a\u{0}b".utf8),
        Array("/a\u{9b}2J".utf8),
    ])
    func aNameCannotBreakOutOfItsLine(name: [UInt8]) throws {
        let text = line(Self.event(.file, resource: name))
        #expect(text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F })
        #expect(
            !text.unicodeScalars.contains { (0x80...0x9F).contains($0.value) || (0x202A...0x202E).contains($0.value) })
        let fields = try fields(text)
        #expect(fields["Action"] as? String == "Block")
        #expect((fields["Resource"] as? String)?.hasPrefix("/") == true)
        let human = String(
            decoding: AlertEncoder(.text).encode(
                Self.builder.alert(for: Self.event(.file, resource: name), rule: Self.rule)), as: UTF8.self)
        #expect(!human.unicodeScalars.contains { $0.value == 0x1B || (0x80...0x9F).contains($0.value) })
    }

    @Test func argumentsOfTwoMebibytesAreCut() throws {
        var event = Self.event(.file)
        event.setArguments([Array("cat".utf8), [UInt8](repeating: 0x61, count: 2 << 20)])
        let text = line(event)
        #expect(text.utf8.count < 64 << 10)
        #expect(try fields(text)["Truncated"] as? Bool == true)
    }
}

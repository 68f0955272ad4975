import Testing

@testable import Telemetry

/// The field rules of KubeArmor's alerts, one by one.
@Suite struct FieldRuleTests {
    private func build(
        _ event: EnforcementEvent, _ rule: RuleMetadata = Samples.hostBlock, _ workload: AlertWorkload? = nil
    ) -> Alert {
        Samples.builder.alert(for: event, rule: rule, workload: workload)
    }
    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
    private func line(_ alert: Alert, _ encoding: AlertEncoding = .camelCase) -> String {
        text(AlertEncoder(encoding).encode(alert))
    }

    @Test func processAlertNamesParentAsSourceAndCommandLineAsResource() {
        let alert = build(Samples.processBlock)
        #expect(alert.operation == "Process")
        #expect(text(alert.source) == "/usr/bin/bash")
        #expect(text(alert.parentProcessName) == "/usr/bin/bash")
        #expect(text(alert.processName) == "/usr/bin/apt")
        #expect(text(alert.resource) == "/usr/bin/apt update")
        #expect(alert.data == "lsm=SECURITY_BPRM_CHECK")
        #expect(alert.eventData == [EventDatum(key: "Lsm", value: "SECURITY_BPRM_CHECK")])
    }

    @Test func fileAlertNamesCommandLineAsSourceAndPathAsResource() {
        let alert = build(Samples.fileBlock)
        #expect(alert.operation == "File")
        #expect(text(alert.source) == "/usr/bin/cat -n /etc/secret/key")
        #expect(text(alert.processName) == "/usr/bin/cat")
        #expect(text(alert.parentProcessName) == "/usr/bin/bash")
        #expect(text(alert.resource) == "/etc/secret/key")
        #expect(alert.data == "lsm=FILE_OPEN")
    }

    @Test func withoutArgumentsOnlyTheExecutableIsNamed() {
        var event = Samples.fileBlock
        event.arguments = []
        #expect(text(build(event).source) == "/usr/bin/cat")
        event.setArguments([Samples.bytes("whatever")])
        #expect(text(build(event).source) == "/usr/bin/cat")
        // As /proc/PID/cmdline is after a process overwrote its last NUL.
        event.arguments = Samples.bytes("cat\0-n")
        #expect(text(build(event).source) == "/usr/bin/cat -n")
    }

    @Test func hostAlertHasEqualNumbersInsideAndOutside() {
        var event = Samples.fileBlock
        event.namespacePID = 5
        let alert = build(event)
        #expect(alert.type == "MatchedHostPolicy")
        #expect(alert.pid == 4711 && alert.hostPID == 4711)
        #expect(alert.ppid == 4700 && alert.hostPPID == 4700)
        #expect(alert.userName == "ann")
    }

    @Test func containerAlertHasItsOwnPIDAndNoUserName() {
        var event = Samples.fileBlock
        event.namespacePID = 5
        let alert = build(
            event, RuleMetadata(policyName: "p", action: .block, isHostPolicy: false), Samples.container)
        #expect(alert.type == "MatchedPolicy")
        #expect(alert.pid == 5 && alert.hostPID == 4711 && alert.ppid == 4700)
        #expect(alert.userName == "")
    }

    @Test(arguments: [
        (EnforcementEvent.Effect.block, RuleMetadata.Action.block, "Block", "Permission denied"),
        (.audit, .audit, "Audit", "Passed"),
        (.audit, .block, "Audit (Block)", "Passed"),
        (.audit, .allow, "Audit (Allow)", "Passed"),
        (.block, .allow, "Block", "Permission denied"),
    ])
    func actionAndResult(
        effect: EnforcementEvent.Effect, action: RuleMetadata.Action, expected: String, result: String
    ) {
        var event = Samples.fileBlock
        event.effect = effect
        let alert = build(event, RuleMetadata(policyName: "p", action: action, isHostPolicy: true))
        #expect(alert.action == expected)
        #expect(alert.result == result)
    }

    @Test func defaultPostureHasNoSeverityTagsOrMessage() {
        for effect in EnforcementEvent.Effect.allCases {
            var event = Samples.fileBlock
            event.effect = effect
            event.syscallNumber = Samples.openatNumber
            let alert = build(event, .defaultPosture(effect == .block ? .block : .audit, isHostPolicy: true))
            #expect(alert.policyName == "DefaultPosture")
            #expect(alert.severity == "" && alert.tags == "" && alert.atags.isEmpty && alert.message == "")
            #expect(alert.action == (effect == .block ? "Block" : "Audit"))
            #expect(alert.data == "lsm=FILE_OPEN")
            for key in ["Severity", "Tags", "ATags", "Message"] { #expect(!line(alert).contains("\"\(key)\"")) }
        }
    }

    @Test func severityAndTags() {
        let rule = RuleMetadata(
            policyName: "p", severity: 10, tags: ["a", "b,c"], action: .block, isHostPolicy: true)
        let alert = build(Samples.fileBlock, rule)
        #expect(alert.severity == "10")
        #expect(alert.tags == "a,b,c")
        #expect(alert.atags == ["a", "b", "c"])
        #expect(line(alert).contains(#""Severity":"10","Tags":"a,b,c","ATags":["a","b","c"],"#))
        #expect(!line(build(Samples.fileBlock, Samples.hostAudit)).contains("Tags"))
    }

    @Test(arguments: [
        ("filelessExec", "PRESET-FilelessExecutionPreset"), ("anonymousMapExec", "PRESET-AnonMapExecutionPreset"),
        ("protectEnv", "PRESET-ProtectEnvPreset"), ("protectProc", "PRESET-ProtectProcPreset"),
        ("exec", "PRESET-ExecPreset"), ("later", "PRESET-later"),
    ])
    func presetIsTheEnforcer(name: String, enforcer: String) {
        let rule = RuleMetadata(policyName: "p", action: .block, isHostPolicy: false, presetName: name)
        #expect(build(Samples.processBlock, rule, Samples.container).enforcer == enforcer)
    }

    @Test func enforcerIsTheMechanism() {
        #expect(build(Samples.fileBlock).enforcer == "fanotify")
    }

    @Test func auditDataNamesTheSystemCall() {
        var event = Samples.fileBlock
        event.effect = .audit
        #expect(build(event, Samples.hostAudit).data == "lsm=FILE_OPEN")
        event.syscallNumber = Samples.openatNumber
        event.descriptor = -100
        event.openFlags = 0o2000000
        var alert = build(event, Samples.hostAudit)
        #expect(alert.data == "syscall=SYS_OPENAT fd=-100 flags=O_RDONLY|O_CLOEXEC")
        #expect(
            alert.eventData == [
                EventDatum(key: "Fd", value: "-100"), EventDatum(key: "Flags", value: "O_RDONLY|O_CLOEXEC"),
                EventDatum(key: "Syscall", value: "SYS_OPENAT"),
            ])
        event.descriptor = nil
        event.openFlags = nil
        #expect(build(event, Samples.hostAudit).data == "syscall=SYS_OPENAT")
        event.syscallNumber = 4_000_000
        #expect(build(event, Samples.hostAudit).data == "lsm=FILE_OPEN")

        var exec = Samples.processBlock
        exec.effect = .audit
        #expect(build(exec, Samples.hostAudit).data == "lsm=SECURITY_BPRM_CHECK")
        exec.syscallNumber = Samples.execveNumber
        exec.openFlags = 0
        #expect(build(exec, Samples.hostAudit).data == "syscall=SYS_EXECVE")
        exec.syscallNumber = Samples.execveatNumber
        exec.descriptor = 3
        exec.openFlags = 0x1000
        alert = build(exec, Samples.hostAudit)
        #expect(alert.data == "syscall=SYS_EXECVEAT fd=3 flag=AT_EMPTY_PATH")
    }

    @Test func eventDataDropsTokensWithoutEqualsSign() {
        let got = EventDatum.parse("lsm=CAPABLE CAP_NET_RAW =x a=1 a=2 B=c=d")
        #expect(
            got == [
                EventDatum(key: "A", value: "2"), EventDatum(key: "B", value: "c=d"),
                EventDatum(key: "Lsm", value: "CAPABLE"),
            ])
        #expect(EventDatum.parse("") == [])
    }

    @Test(arguments: [("/home/ann", "/home/ann/"), ("/", "/"), ("", ""), ("/a/", "/a/")])
    func workingDirectoryEndsInASlash(given: String, shown: String) {
        var event = Samples.fileBlock
        event.workingDirectory = Samples.bytes(given)
        #expect(text(build(event).cwd) == shown)
    }

    @Test func numbersThatAreAlwaysPrinted() {
        let record = Samples.builder.thresholdRecord(settings: ThrottleSettings(), wallClock: 1_000_000_000)
        let camel = line(record)
        #expect(camel.contains(#""PPID":0,"UID":0,"#))
        #expect(!camel.contains("HostPID") && !camel.contains("HostPPID") && !camel.contains("\"PID\""))
        #expect(camel.contains(#""MaxAlertsPerSec":10,"DroppingAlertsInterval":30,"ExecEvent":{}"#))
        #expect(camel.contains(#""Type":"SystemEvent","Operation":"AlertThreshold","Result":"Passed""#))
        let daemon = line(record, .daemon)
        for part in [
            #""hostPPid":0,"hostPid":0,"ppid":0,"pid":0,"uid":0,"execEvent":{"#,
            #""parentProcessName":"","processName":"""#,
            #""atags":null"#, #""source":"""#, #""resource":"","cwd":"""#, #""oid":0"#, #""result":"Passed""#,
        ] { #expect(daemon.contains(part), "\(part) in \(daemon)") }
        #expect(!daemon.contains("lusterName"))
    }

    @Test func unknownUserIDsStayInThirtyTwoBits() {
        var event = Samples.fileBlock
        event.uid = .max
        #expect(line(build(event)).contains(#""UID":-1,"#))
    }

    @Test func staleDescriptorIsReportedAsNotEnforced() {
        var event = Samples.fileBlock
        event.kind = .staleDescriptor
        event.effect = .audit
        event.descriptor = 9
        let alert = build(event)
        #expect(alert.operation == "File" && alert.action == "Audit (Block)" && alert.result == "Passed")
        #expect(alert.data == "event=stale-fd fd=9")
        #expect(alert.hostPID == 4711 && text(alert.resource) == "/etc/secret/key")
    }

    @Test func noticeIsASystemEvent() {
        var event = EnforcementEvent()
        event.kind = .notice
        event.resource = Samples.bytes("/mnt")
        let alert = build(event)
        #expect(alert.type == "SystemEvent" && alert.operation == "Notice" && alert.result == "Passed")
        #expect(alert.action == "" && alert.userName == "" && alert.message == "secret was touched")
        #expect(text(alert.resource) == "/mnt")
    }

    @Test func ourFieldsComeLastAndOnlyWhenTheySaySomething() {
        var event = Samples.fileBlock
        event.snapshotGeneration = 0
        let ours = [
            "ResourceAlias", "PathUntrusted", "MatchedByObject", "Truncated", "Suppressed", "Lost", "PolicyGeneration",
            "Raw",
        ]
        for encoding in [AlertEncoding.camelCase, .daemon, .text] {
            let quiet = line(build(event), encoding)
            for key in ours { #expect(!quiet.contains(key)) }
        }
        event.isPathUntrusted = true
        event.isMatchedByObject = true
        event.aliasPath = Samples.bytes("/a")
        event.truncation = .executable
        event.lossCount = 2
        event.snapshotGeneration = 9
        var alert = build(event)
        alert.suppressed = 4
        #expect(
            line(alert).hasSuffix(
                #","NodeID":"0f0e0d0c0b0a09080706050403020100","ResourceAlias":"/a","PathUntrusted":true,"#
                    + #""MatchedByObject":true,"Truncated":true,"Suppressed":4,"Lost":2,"PolicyGeneration":9}"#))
    }

    @Test func textFormIsKarmors() {
        let lines = line(build(Samples.fileBlock), .text).split(separator: "\n").map(String.init)
        #expect(lines.first == "== Alert / 2026-05-26 04:46:57.355927 ==")
        let keys = lines.dropFirst().map { String($0.prefix { $0 != ":" }) }
        #expect(
            keys == [
                "ClusterName", "HostName", "Type", "PolicyName", "Severity", "Message", "Source", "Resource",
                "Operation", "Action", "Data", "EventData", "Enforcer", "Result", "ATags", "Cwd", "ExecEvent",
                "HostPID", "HostPPID", "KubeArmorVersion", "NodeID", "PID", "PPID", "ParentProcessName",
                "PolicyGeneration", "ProcessName", "TTY", "Tags", "UID", "UserName",
            ])
        #expect(lines.contains("EventData: map[Lsm:FILE_OPEN]"))
        #expect(lines.contains("ExecEvent: map[ExecID:0 ExecutableName:cat]"))
        #expect(lines.contains("ATags: [MITRE NIST]"))
    }
}

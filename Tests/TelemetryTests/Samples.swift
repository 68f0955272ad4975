import Synchronization

@testable import Telemetry

/// Fixed inputs, so that every line of a golden file is known.
enum Samples {
    static let node = NodeIdentity(hostName: "node1", nodeID: "0f0e0d0c0b0a09080706050403020100")
    static let builder = AlertBuilder(
        node: node, version: "v0.1.0", users: UserNames(lookUp: { $0 == 0 ? "root" : $0 == 1000 ? "ann" : "" }))

    static let hostBlock = RuleMetadata(
        policyName: "hsp-secret", severity: 5, tags: ["MITRE", "NIST"], message: "secret was touched", action: .block,
        isHostPolicy: true)
    static let hostAudit = RuleMetadata(policyName: "hsp-watch", severity: 1, action: .audit, isHostPolicy: true)

    static let container = AlertWorkload(
        namespaceName: "multiubuntu",
        owner: .init(ref: "Deployment", name: "ubuntu-1-deployment", namespace: "multiubuntu"),
        podName: "ubuntu-1-deployment-8dc5d8d48-5s8pf", labels: "group=group-1,container=ubuntu-1",
        containerID: "4771ac", containerName: "ubuntu-1-container",
        containerImage: "docker.io/kubearmor/ubuntu-w-utils:latest@sha256:8c94",
        throttleKey: ThrottleKey(pidNamespace: 4_026_532_001, mountNamespace: 4_026_532_002))

    /// `cat /etc/secret/key` run by bash; denied.
    static var fileBlock: EnforcementEvent {
        var event = EnforcementEvent()
        event.category = .file
        event.effect = .block
        event.wallClock = 1_779_770_817_355_927_123
        event.hostPID = 4711
        event.hostPPID = 4700
        event.tid = 4711
        event.uid = 1000
        event.oid = 0
        event.resource = bytes("/etc/secret/key")
        event.executable = bytes("/usr/bin/cat")
        event.parentExecutable = bytes("/usr/bin/bash")
        event.workingDirectory = bytes("/home/ann")
        event.tty = bytes("pts0")
        event.comm = bytes("cat")
        event.setArguments([bytes("cat"), bytes("-n"), bytes("/etc/secret/key")])
        event.snapshotGeneration = 7
        return event
    }

    /// bash running `apt update`; denied.
    static var processBlock: EnforcementEvent {
        var event = fileBlock
        event.category = .process
        event.resource = bytes("/usr/bin/apt")
        event.executable = bytes("/usr/bin/bash")
        event.comm = bytes("bash")
        event.setArguments([bytes("apt"), bytes("update")])
        return event
    }

    static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    /// Every kind of record, by name; the order is the order of the golden files.
    static var all: [(name: String, alert: Alert)] {
        var openat = fileBlock
        openat.effect = .audit
        openat.syscallNumber = openatNumber
        openat.descriptor = -100
        openat.openFlags = 0o2000000
        var execve = processBlock
        execve.effect = .audit
        execve.syscallNumber = execveNumber
        var posture = fileBlock
        posture.effect = .audit
        var inContainer = processBlock
        inContainer.namespacePID = 113
        inContainer.workingDirectory = bytes("/")
        var stale = fileBlock
        stale.kind = .staleDescriptor
        stale.effect = .audit
        stale.descriptor = 9
        var notice = EnforcementEvent()
        notice.kind = .notice
        notice.wallClock = fileBlock.wallClock
        notice.resource = bytes("/mnt/usb")
        var untrusted = fileBlock
        untrusted.isPathUntrusted = true
        untrusted.isMatchedByObject = true
        untrusted.resource = bytes("/mnt/key")
        untrusted.aliasPath = bytes("/etc/secret/key")
        untrusted.lossCount = 3
        untrusted.truncation = .arguments
        var hostile = fileBlock
        hostile.resource = bytes("/tmp/x\n{\"Action\":\"Allow\"}") + [0xff, 0x1b, 0x5b, 0x32, 0x4a]
        hostile.comm = bytes("<script>&\u{202e}")
        var socket = fileBlock
        socket.category = .network
        socket.enforcer = "seccomp"
        socket.syscallNumber = socketNumber
        socket.resource = [2, 0, 0, 0, 1, 0, 8, 0, 0, 0, 0, 0]
        var seenSocket = socket
        seenSocket.effect = .audit
        var renamed = fileBlock
        renamed.enforcer = "seccomp"
        renamed.syscallNumber = renameat2Number
        // What the front makes of a record that a row of the failure table, or the pattern limit, decided.
        let failed = RuleMetadata(
            policyName: "AgentFailure", message: "worker-lost", action: .block, isHostPolicy: true)
        var passedOver = fileBlock
        passedOver.effect = .audit
        let overLimit = RuleMetadata(
            policyName: "AgentFailure", message: "pattern-limit", action: .audit, isHostPolicy: true)
        var call = fileBlock
        call.category = .syscall
        call.effect = .audit
        call.enforcer = "seccomp"
        call.syscallNumber = openatNumber
        var bytesOnly = processBlock
        bytesOnly.resource = [0x2f, 0xc3, 0x28, 0x00, 0x7f, 0xc2, 0x9b]
        bytesOnly.parentExecutable = bytes("/a\u{1b}]0;t\u{7}")
        bytesOnly.workingDirectory = [0x2f, 0x80]
        bytesOnly.comm = bytes("a\r\nb")
        bytesOnly.tty = bytes("\u{1b}[31m")
        bytesOnly.aliasPath = bytes("/\u{2028}\u{1}")
        bytesOnly.setArguments([bytes("x"), bytes("--\n{}"), [0xf0, 0x9f, 0x98]])
        let small = AlertBuilder(
            node: node, version: "v0.1.0", limits: FieldLimits(path: 12, commandLine: 20, name: 4),
            users: UserNames(lookUp: { _ in "" }))
        var long = fileBlock
        // The limit falls into the middle of the last character that could stay.
        long.resource = bytes("/etc/secret/\u{e9}\u{e9}")
        long.aliasPath = bytes("/srv/1234567\u{1f600}")
        long.comm = bytes("abc\u{e9}")
        var told = builder.alert(for: fileBlock, rule: hostBlock)
        told.suppressed = 42
        return [
            ("host file block", builder.alert(for: fileBlock, rule: hostBlock)),
            ("host process block", builder.alert(for: processBlock, rule: hostBlock)),
            ("host file audit", builder.alert(for: openat, rule: hostAudit)),
            ("host process audit", builder.alert(for: execve, rule: hostAudit)),
            (
                "posture audit",
                builder.alert(for: posture, rule: .defaultPosture(.audit, isHostPolicy: true))
            ),
            (
                "posture block",
                builder.alert(for: processBlock, rule: .defaultPosture(.block, isHostPolicy: true))
            ),
            (
                "container process block",
                builder.alert(
                    for: inContainer,
                    rule: RuleMetadata(policyName: "p1", severity: 5, action: .block, isHostPolicy: false),
                    workload: container)
            ),
            (
                "preset",
                builder.alert(
                    for: inContainer,
                    rule: RuleMetadata(
                        policyName: "p2", action: .block, isHostPolicy: false, presetName: "filelessExec"),
                    workload: container)
            ),
            ("stale descriptor", builder.alert(for: stale, rule: hostBlock)),
            (
                "notice",
                builder.alert(
                    for: notice,
                    rule: RuleMetadata(
                        policyName: "hsp-secret", message: "no mark on this file system", action: .block,
                        isHostPolicy: true))
            ),
            (
                "threshold on the host",
                builder.thresholdRecord(settings: ThrottleSettings(), wallClock: fileBlock.wallClock)
            ),
            (
                "threshold of a container",
                builder.thresholdRecord(
                    settings: ThrottleSettings(), wallClock: fileBlock.wallClock, workload: container, suppressed: 5)
            ),
            ("untrusted path", builder.alert(for: untrusted, rule: hostBlock)),
            ("hostile names", builder.alert(for: hostile, rule: hostBlock)),
            ("suppressed before", told),
            ("socket block", builder.alert(for: socket, rule: hostBlock)),
            ("socket audit", builder.alert(for: seenSocket, rule: hostAudit)),
            ("rename block", builder.alert(for: renamed, rule: hostBlock)),
            ("system call audit", builder.alert(for: call, rule: hostAudit)),
            ("denied by a row of the failure table", builder.alert(for: fileBlock, rule: failed)),
            ("passed at the pattern limit", builder.alert(for: passedOver, rule: overLimit)),
            ("bytes that are no text", builder.alert(for: bytesOnly, rule: hostBlock)),
            ("cut texts", small.alert(for: long, rule: hostBlock)),
        ]
    }

    #if arch(x86_64)
        static let openatNumber: Int32 = 257
        static let execveNumber: Int32 = 59
        static let execveatNumber: Int32 = 322
        static let openat2Number: Int32 = 437
        static let socketNumber: Int32 = 41
        static let renameat2Number: Int32 = 316
    #else
        static let openatNumber: Int32 = 56
        static let execveNumber: Int32 = 221
        static let execveatNumber: Int32 = 281
        static let openat2Number: Int32 = 437
        static let socketNumber: Int32 = 198
        static let renameat2Number: Int32 = 276
    #endif
}

/// A clock that moves only when told.
final class ManualClock: Sendable {
    private let now = Mutex<UInt64>(1_000_000_000_000)

    func advance(seconds: Double) { now.withLock { $0 += UInt64(seconds * 1_000_000_000) } }
    func set(_ value: UInt64) { now.withLock { $0 = value } }
    var value: UInt64 { now.withLock { $0 } }
    var clock: TelemetryClock {
        TelemetryClock(monotonic: { self.value }, wall: { 1_779_770_817_000_000_000 + self.value })
    }
}

/// Keeps what it is given.
final class MemorySink: AlertSink {
    private let state = Mutex<(lines: [[UInt8]], counters: SinkCounters)>(([], SinkCounters()))

    var lines: [String] { state.withLock { $0.lines.map { String(decoding: $0, as: UTF8.self) } } }
    var counters: SinkCounters { state.withLock { $0.counters } }
    func write(_ line: [UInt8]) {
        state.withLock {
            $0.lines.append(line)
            $0.counters.written += 1
        }
    }
    func flush() -> Bool { true }
}

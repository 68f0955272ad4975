import Foundation
import LinuxKernel
import PolicyEngine
import PolicyModel
import SyscallEnforcement
import Testing

/// The filters of supervised trees, as libseccomp writes them out. `RECORD_SNAPSHOTS=1` writes the golden files anew and fails.
@Suite("Filter plans")
struct FilterPlanTests {
    static func needs(_ policy: Policy, posture: Posture = .audit, seesEvents: Bool = true) throws -> FilterNeeds {
        var postures = Postures()
        postures.network = posture
        let compiled = try SnapshotCompiler(seed: 1).compile(policies: [policy], postures: postures, generation: 1)
        return try compiled.bytes.withUnsafeBytes { FilterNeeds(try Snapshot(validating: $0), seesEvents: seesEvents) }
    }

    static func policy(_ fill: (inout Policy) -> Void) -> Policy {
        var policy = Policy(kind: .host, name: "p", position: SourcePosition(file: "p", line: 1, column: 1))
        fill(&policy)
        return policy
    }

    static func network(_ names: ProtocolName..., action: RuleAction = .block) -> Policy {
        policy { policy in
            policy.protocols = names.map {
                ProtocolRule(
                    name: $0, attributes: RuleAttributes(action: action),
                    position: SourcePosition(file: "p", line: 1, column: 1))
            }
        }
    }

    static let cases: [(name: String, policy: Policy, posture: Posture)] = [
        ("tcp", network(.tcp), .audit), ("raw", network(.raw), .audit),
        ("udp-and-icmp", network(.udp, .icmp), .audit), ("allow-tcp", network(.tcp, action: .allow), .block),
        (
            "file",
            policy {
                $0.file = [
                    FileRule(
                        subject: .path("/etc/shadow"), attributes: RuleAttributes(action: .block),
                        position: SourcePosition(file: "p", line: 1, column: 1))
                ]
            }, .audit
        ),
        (
            "capabilities",
            policy {
                $0.capabilities = [(7, "setuid"), (13, "net_raw"), (18, "sys_chroot"), (27, "mknod")].map {
                    CapabilityRule(
                        capability: $0.0, name: $0.1, attributes: RuleAttributes(action: .block),
                        position: SourcePosition(file: "p", line: 1, column: 1))
                }
            }, .audit
        ),
        (
            "reported-calls",
            policy {
                $0.syscalls = [
                    SyscallRule(
                        syscalls: ["unlink", "mount", "ptrace", "openat", "clone3", "exit_group"], path: nil,
                        attributes: RuleAttributes(action: .audit),
                        position: SourcePosition(file: "p", line: 1, column: 1))
                ]
            }, .audit
        ),
        (
            "queries",
            policy {
                $0.dns = [
                    DNSRule(
                        domain: "google.com", attributes: RuleAttributes(action: .block),
                        position: SourcePosition(file: "p", line: 1, column: 1))
                ]
            }, .audit
        ),
        (
            "allow-programs",
            policy {
                $0.process = [
                    ProcessRule(
                        subject: .path("/bin/true"), attributes: RuleAttributes(action: .allow),
                        position: SourcePosition(file: "p", line: 1, column: 1))
                ]
            }, .audit
        ),
    ]

    #if arch(x86_64)
        @Test(arguments: cases.map(\.name)) func theProgramIsAsRecorded(name: String) throws {
            let entry = try #require(Self.cases.first { $0.name == name })
            try expectRecorded(FilterPlan(try Self.needs(entry.policy, posture: entry.posture)), name)
        }

        /// Without fanotify the filter has every open and execution notified.
        @Test func soIsTheProgramThatDecidesOpens() throws {
            let entry = try #require(Self.cases.first { $0.name == "file" })
            try expectRecorded(FilterPlan(try Self.needs(entry.policy, seesEvents: false)), "file-without-events")
        }

        /// What every tree with a filter pays for having nobody outside start programs for it: connect(2), and moved and linked names.
        @Test func soIsTheProgramThatGuardsManagers() throws {
            var needs = FilterNeeds()
            needs.guardsManagers = true
            try expectRecorded(FilterPlan(needs), "managers")
        }

        private func expectRecorded(_ plan: FilterPlan, _ name: String) throws {
            let text = try plan.programs().treeProgram.text
            let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .appendingPathComponent("Golden/\(name).pfc")
            if ProcessInfo.processInfo.environment["RECORD_SNAPSHOTS"] == "1" {
                try text.write(to: url, atomically: true, encoding: .utf8)
                Issue.record("recorded; run again without RECORD_SNAPSHOTS")
            }
            #expect(try String(contentsOf: url, encoding: .utf8) == text)
        }
    #endif

    @Test func withoutRulesThereIsNoFilter() throws {
        #expect(FilterPlan(try Self.needs(Self.policy { _ in })).isEmpty)
    }

    @Test func everyPlanFitsTheKernel() throws {
        for entry in Self.cases {
            let (guardProgram, treeProgram) = try FilterPlan(try Self.needs(entry.policy, posture: entry.posture))
                .programs()
            for program in [guardProgram, treeProgram] {
                #expect(program.instructions.count % 8 == 0)
                // BPF_MAXINSNS.
                #expect(program.instructions.count / 8 <= 4096, "\(entry.name)")
            }
        }
    }

    @Test func aNameNobodyKnowsIsAnError() {
        #expect(throws: KernelError.self) {
            try FilterProgram(rules: [FilterProgram.Rule("no_such_call", .notify)], otherwise: .allow)
        }
    }

    /// Every name of every plan is one that this libseccomp knows: a misspelt one would be a hole.
    @Test func allNamesAreKnown() throws {
        var needs = FilterNeeds()
        needs.listsPrograms = true
        needs.sockets = .all
        needs.queries = true
        needs.files = true
        needs.decidesOpens = true
        _ = try FilterPlan(needs).programs()
    }
}

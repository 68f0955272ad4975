import FileEnforcement
import Foundation
import LinuxKernel
import PolicyEngine
import PolicyModel
import Testing

@testable import NetworkEnforcement

/// How the packets of workloads are told on kernels that lack one expression or another, in the real one.
@Suite("Scopes of workloads", .serialized)
struct WorkloadScopeTests {
    /// Its cgroup has a name that nobody else has meanwhile.
    private static let tree = UInt64(getpid())

    /// Blocks UDP to port 4242 that leaves, and what arrives at it.
    private static var ruleset: Ruleset { blocking("4242") }
    private static var other: Ruleset { blocking("4243") }

    private static func blocking(_ port: String) -> Ruleset {
        let ports = [NetworkPolicyPort(port: port, protocolName: "UDP")]
        var ruleset = RulesetPlannerTests.plan([
            RulesetPlannerTests.policy(
                "p", ingress: [RulesetPlannerTests.rule(ports: ports)], egress: [RulesetPlannerTests.rule(ports: ports)]
            )
        ]).ruleset
        // There is nothing but loopback here, which rules let through first.
        for index in ruleset.chains.indices where ruleset.chains[index].hook != nil {
            ruleset.chains[index].rules.removeFirst()
        }
        return ruleset
    }

    private static func enforcer(lacking: NetworkFeatures) throws -> NetworkEnforcer {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: StatusBoard.size, alignment: 4096)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: StatusBoard.size)
        return try NetworkEnforcer(board: StatusBoard(memory: memory), mayFilter: true) {
            FailingKernel($0, lacking: lacking)
        }
    }

    /// A shell in the calling thread's network namespace that does what it is told, line by line.
    private final class Shell {
        let process = Process()
        private let (input, output) = (Foundation.Pipe(), Foundation.Pipe())

        init(_ words: [String] = []) throws {
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = words + ["sh"]
            process.standardInput = input
            process.standardOutput = output
            try process.run()
        }

        /// What a line prints, up to a newline.
        func run(_ line: String) -> String {
            input.fileHandleForWriting.write(Data((line + "\n").utf8))
            var bytes: [UInt8] = []
            while let byte = try? output.fileHandleForReading.read(upToCount: 1)?.first, byte != 0x0A {
                bytes.append(byte)
            }
            return String(decoding: bytes, as: UTF8.self)
        }

        /// Whether it can send to the port on which nobody else listens.
        func sends(_ port: Int = 4242) -> Bool {
            run(
                "python3 -c 'import socket; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.sendto(b\"x\",(\"127.0.0.1\",\(port)))' "
                    + "2>/dev/null && echo yes || echo no") == "yes"
        }

        func end() {
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }

        deinit { end() }
    }

    /// Ends a tree's process, and removes its cgroup.
    private static func end(_ shell: Shell, _ enforcer: NetworkEnforcer) {
        shell.end()
        enforcer.remove(tree)
        enforcer.state.withLock { NetworkEnforcer.removeLeftovers(&$0) }
        #expect(enforcer.state.withLock { $0.leftovers } == [])
    }

    private static func gaps(_ notes: [PlanNote]) -> Set<PlanNote.Gap> {
        Set(notes.map(\.gap).filter { $0.scope == nil })
    }

    /// Has a workload's packets decided by the rules.
    private static func start(
        _ shell: Shell, _ enforcer: NetworkEnforcer, as workload: UInt64 = tree,
        _ arrival: NetworkEnforcer.Arrival = .tree(tree)
    ) throws -> [PlanNote] {
        try enforcer.add(process: shell.process.processIdentifier, as: workload, arrival)
        return try enforcer.put(ruleset, for: workload)
    }

    @Test func aTreeIsToldByACgroup() throws {
        let scratch = try ScratchNamespace()
        try scratch.run {
            let enforcer = try Self.enforcer(lacking: [])
            let (inside, outside) = (try Shell(), try Shell())
            #expect(inside.sends())
            let notes = try Self.start(inside, enforcer)
            #expect(Self.gaps(notes) == [.leavesCgroup])
            #expect(enforcer.network(of: Self.tree)?.text.hasPrefix("cgroup v2 /") == true)
            #expect(!inside.sends() && inside.sends(4243) && outside.sends())
            // A generation of the host's rules leaves it, and is held besides.
            _ = try enforcer.load(Self.other, generation: 2)
            #expect(!inside.sends() && !inside.sends(4243) && outside.sends() && !outside.sends(4243))
            _ = try enforcer.load(nil, generation: 3)
            #expect(!inside.sends() && inside.sends(4243) && outside.sends(4243))
            enforcer.remove(Self.tree)
            #expect(inside.sends())
            Self.end(inside, enforcer)
        }
    }

    /// Without `socket cgroupv2`, by a class; what arrives cannot be told so, and is not said to be held.
    @Test func aTreeIsToldByAClass() throws {
        let scratch = try ScratchNamespace()
        let hierarchy = try ClassHierarchy()
        try scratch.run {
            let enforcer = try Self.enforcer(lacking: .cgroups)
            let (inside, outside) = (try Shell(), try Shell())
            let notes = try Self.start(inside, enforcer)
            #expect(Self.gaps(notes) == [.leavesCgroup, .arrivalsIndistinct])
            #expect(enforcer.network(of: Self.tree)?.text.hasPrefix("net_cls 20547:") == true)
            #expect(!inside.sends() && inside.sends(4243) && outside.sends())
            let printed = try scratch.nft("list", "table", "inet", "portcullis")
            #expect(printed.contains("meta cgroup") && !printed.contains("hook input"))
            Self.end(inside, enforcer)
        }
        _ = hierarchy
    }

    /// By the users of a namespace, where a container has nothing else of its own.
    @Test func aContainerIsToldByItsUsers() throws {
        let scratch = try ScratchNamespace()
        let workload = SnapshotBundle.container(3)
        try scratch.run {
            let enforcer = try Self.enforcer(lacking: [.cgroups, .classes])
            let inside = try Shell(["unshare", "-U", "--map-root-user"])
            #expect(inside.run("echo ready") == "ready")
            // A namespace of root's own is nobody's users.
            #expect(WorkloadNetwork.sharing(inside.process.processIdentifier, []) == .indistinct)
            let mapped = try Shell(["unshare", "-U"])
            #expect(mapped.run("echo ready") == "ready")
            try "0 200000 1000\n".write(
                toFile: "/proc/\(mapped.process.processIdentifier)/uid_map", atomically: false, encoding: .utf8)
            let notes = try Self.start(mapped, enforcer, as: workload, .container)
            #expect(Self.gaps(notes) == [.sharesUsers, .arrivalsIndistinct])
            #expect(notes.contains { $0.gap.scope == "uid" })
            #expect(enforcer.network(of: workload)?.text == "users 200000 to 200999")
            #expect(
                try scratch.nft("list", "table", "inet", "portcullis").contains(
                    "meta skuid 200000-200999 goto c3-output"))
            // Somebody with such a user, and somebody without.
            let other = try Shell(["setpriv", "--reuid", "200005", "--clear-groups"])
            #expect(!other.sends() && other.sends(4243) && inside.sends())
        }
    }

    /// A worker that takes over does not touch the table before it knows all whose rules are in it.
    @Test func nothingIsForgottenBetweenTwoWorkers() throws {
        let scratch = try ScratchNamespace()
        try scratch.run {
            let first = try Self.enforcer(lacking: [])
            let (inside, outside) = (try Shell(), try Shell())
            _ = try Self.start(inside, first)
            let network = try #require(first.network(of: Self.tree))
            let second = try Self.enforcer(lacking: [])
            _ = try second.load(Self.other, generation: 1, isHeldBack: true)
            #expect(!inside.sends() && inside.sends(4243) && outside.sends(4243))
            let note = try #require(WorkloadNetwork(note: network.note.split(separator: " ")))
            second.inherit(note, of: Self.tree)
            _ = try second.put(Self.ruleset, for: Self.tree)
            #expect(inside.sends(4243))
            try second.resume()
            #expect(!inside.sends() && !inside.sends(4243) && outside.sends() && !outside.sends(4243))
            Self.end(inside, second)
        }
    }

    @Test func whereNothingTellsNothingIsEnforced() throws {
        let scratch = try ScratchNamespace()
        try scratch.run {
            let enforcer = try Self.enforcer(lacking: [.cgroups, .classes])
            let inside = try Shell()
            let notes = try Self.start(inside, enforcer)
            #expect(Self.gaps(notes) == [.hostNetwork] && notes.contains { $0.rule == RuleID(rawValue: 3) })
            #expect(enforcer.network(of: Self.tree) == .indistinct && inside.sends())
        }
        #expect(try scratch.nft("list", "tables") == "")
    }

    /// Each feature forced away: the rest of the rules is in force, the kernel has none of the missing expression, and what is not
    /// enforced is said.
    @Test(arguments: NetworkFeatures.names.map(\.name)) func aMissingFeatureIsAGapAndNoMore(_ name: String) throws {
        let feature = try #require(NetworkFeatures.names.first { $0.name == name }?.feature)
        let scratch = try ScratchNamespace()
        let protocols = try RulesetPlannerTests.protocols([(.tcp, .block)])
        let domains = try RulesetPlannerTests.domains([("evil.test", .block)])
        let host = RulesetPlannerTests.plan(
            RulesetPlannerTests.cases[7].policies, protocols: protocols, domains: domains
        ).ruleset
        try scratch.run {
            let enforcer = try Self.enforcer(lacking: feature)
            let notes = try enforcer.load(host, generation: 1)
            let inside = try Shell()
            let later = try Self.start(inside, enforcer)
            let printed = (try? scratch.nft("list", "table", "inet", "portcullis")) ?? ""
            let expected: [NetworkFeatures: (gap: PlanNote.Gap, absent: String)] = [
                .tables: (.packetsUnfiltered, "table"), .flows: (.packetsUnfiltered, "table"),
                .logs: (.packetsUnlogged, "log prefix"), .quotas: (.quotaUnavailable, "quota"),
            ]
            if let (gap, absent) = expected[feature] {
                #expect(Self.gaps(notes).contains(gap) && !printed.contains(absent), "\(notes)")
            }
            if feature == .farBytes {
                // Every offset is one that older kernels take; the bytes behind the last of them are read from there on.
                let offsets = printed.components(separatedBy: "@th,").dropFirst().compactMap {
                    $0.split(separator: ",").first.flatMap { Int($0) }
                }
                #expect(Self.gaps(notes).contains(.namesUnread))
                #expect(offsets.max() == 8 * 255, "\(offsets)")
            }
            if feature == .rates { #expect(!printed.contains("limit rate")) }
            if feature == .cgroups { #expect(!printed.contains("socket cgroupv2")) }
            if feature == .classes { #expect(!printed.contains("meta cgroup")) }
            if feature != .tables, feature != .flows {
                #expect(printed.contains("ip daddr 10.0.0.0/8") && printed.contains("chain dns-at-20"))
                #expect(Self.gaps(later).contains(.packetsUnfiltered) == false)
            }
            Self.end(inside, enforcer)
        }
    }
}

/// A mount of the hierarchy of net_cls, unless the machine has one.
private final class ClassHierarchy {
    private var directory: String?

    init() throws {
        if (try? CgroupDirectory(.netClass, "/")) != nil { return }
        let path = "/tmp/pc-net-cls-\(getpid())"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        guard mount("none", path, "cgroup", 0, "net_cls") == 0 else {
            throw ScratchNamespace.Failure(text: "net_cls cannot be mounted: errno \(errno)")
        }
        directory = path
    }

    deinit {
        guard let directory else { return }
        for name in (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [] {
            rmdir(directory + "/" + name)
        }
        umount(directory)
        rmdir(directory)
    }
}

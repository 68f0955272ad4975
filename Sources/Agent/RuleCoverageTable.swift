import LinuxKernel
import NetworkEnforcement
import PolicyEngine
import PolicyModel
import SyscallEnforcement

/// What holds a rule on this host, and what it cannot be held against here. Derived from the rule alone; what depends on
/// the filesystem comes from the worker's plan notes.
enum RuleCoverageTable {
    /// Mechanisms and gaps of one rule.
    struct Row: Equatable {
        var enforcedBy: [String]
        var gaps: [String]
    }

    /// The row of a file rule. fanotify(7) has no permission event for changes of names and metadata.
    private static let fileGaps = [
        "rename, unlink, link, mkdir, chmod, chown, xattr and truncate(path) are held only in supervised trees "
            + "('portcullis run'): fanotify has no permission event for them",
        "outside of supervised trees a denied O_CREAT leaves an empty file behind",
        "outside of supervised trees io_uring can make a write look like a read (readOnly) unless kernel.io_uring_disabled is set",
    ]

    /// - Parameters:
    ///   - inTree: the rule is a supervised tree's own, and so only about processes that are in one.
    ///   - seesEvents: fanotify is there.
    static func row(for rule: RuleDescription, inTree: Bool = false, seesEvents: Bool = true) -> Row {
        if let packet = rule.packet {
            return Row(
                enforcedBy: packet.problem.isEmpty ? ["nftables"] : [],
                gaps: packet.problem.isEmpty ? [] : [packet.problem])
        }
        if let preset = rule.isPreset {
            return row(for: preset, place: inTree ? [] : [treesOnly], seesEvents: seesEvents)
        }
        if !seesEvents, rule.category == .file || rule.category == .process {
            return Row(enforcedBy: ["seccomp"], gaps: inTree ? [] : [treesOnly])
        }
        switch rule.category {
        case .file: return Row(enforcedBy: ["fanotify", "seccomp"], gaps: inTree ? [] : fileGaps)
        case .process:
            return Row(
                enforcedBy: ["fanotify"],
                gaps: [
                    "memfd execution raises no fanotify event: only a supervised tree under an allow-list refuses it"
                ])
        case .networkProtocol:
            if inTree { return Row(enforcedBy: ["seccomp"], gaps: []) }
            return rule.isOfPackets
                ? Row(enforcedBy: ["seccomp", "nftables"], gaps: packetGaps)
                : Row(enforcedBy: ["seccomp"], gaps: [treesOnly])
        case .dns: return queries(rule, inTree: inTree)
        case .capability:
            return capability(rule, inTree: inTree)
        case .syscall:
            let calls = rule.subject.prefix { $0 != " " }.split(separator: ",")
            return calls.allSatisfy { FilterNeeds.canReport(String($0)) }
                ? Row(enforcedBy: ["seccomp"], gaps: inTree ? [] : [treesOnly])
                : Row(
                    enforcedBy: [],
                    gaps: ["this call is never held: a process could not end, or its signals not return"])
        }
    }

    /// Gaps of a rule on sockets that packets are held against.
    private static let packetGaps = [
        "outside of supervised trees the first packet of a flow is held, not the socket: a server may listen, AF_PACKET sockets are not "
            + "seen, and who sends is not known"
    ]

    /// Rules on queries: in supervised trees what is sent, elsewhere what packets tell of.
    private static func queries(_ rule: RuleDescription, inTree: Bool) -> Row {
        let unseen = [
            "queries to other ports than 53, over TLS or HTTPS, and what others ask for a program (nscd, systemd-resolved by its own socket) are "
                + "not seen"
        ]
        let inTrees =
            rule.attributes.action == .audit
            ? []
            : [
                "in supervised trees a program that it may be about is given no answer over TCP, or to what it asks by write(2) (Go's own resolver): "
                    + "neither can be looked into ('query-unreadable')"
            ]
        guard !inTree else { return Row(enforcedBy: ["seccomp"], gaps: inTrees + unseen) }
        guard rule.isOfPackets else {
            return Row(
                enforcedBy: ["seccomp"],
                gaps: [treesOnly + ": no packet tells which program asks"] + inTrees + unseen)
        }
        var gaps = rule.packetLimits.sorted { $0.rawValue < $1.rawValue }.map { limit in
            let what =
                switch limit {
                case .tooManyNames: "only reported: packets are held against \(DomainDecisions.limit) names at most"
                case .exceptions:
                    "names below it that other rules are about pass, and so does what is made to look like them"
                case .allowList: "what is not listed is reported, not refused"
                }
            return "outside of supervised trees " + what
        }
        gaps.append(
            rule.attributes.action == .block
                ? "outside of supervised trees queries that TCP splits or that are written with pointers are reported at best"
                : "outside of supervised trees queries that TCP splits are not seen")
        return Row(enforcedBy: ["seccomp", "nftables"], gaps: gaps + inTrees + unseen)
    }

    private static let treesOnly = "only in supervised trees ('portcullis run')"

    private static func row(for preset: PresetName, place: [String], seesEvents: Bool) -> Row {
        switch preset {
        case .anonymousMapExec: Row(enforcedBy: ["seccomp"], gaps: place)
        case .filelessExec, .protectEnv, .protectProc, .exec:
            if !seesEvents {
                Row(enforcedBy: ["seccomp"], gaps: place)
            } else if preset == .filelessExec {
                Row(
                    enforcedBy: ["fanotify"],
                    gaps: ["memfd execution raises no fanotify event: it is held in containers, and without fanotify"])
            } else {
                Row(
                    enforcedBy: [],
                    gaps: [
                        "fanotify does not see it: it is held in containers, and in trees of an agent without fanotify"
                    ])
            }
        }
    }

    private static func capability(_ rule: RuleDescription, inTree: Bool) -> Row {
        let place = inTree ? [] : [treesOnly]
        let number = CapabilitySet.names.firstIndex(of: rule.subject).map { UInt8($0) }
        let isTold = number.map { FilterNeeds.tells(of: $0) } ?? false
        let isDropped = rule.attributes.action == .block && rule.sources.isEmpty
        guard isDropped || isTold else {
            return Row(
                enforcedBy: [], gaps: ["no system call tells of its use: only a Block without fromSource is enforced"])
        }
        return Row(
            enforcedBy: (isDropped ? ["capability sets"] : []) + (isTold ? ["seccomp"] : []),
            gaps: place
                + [
                    isTold
                        ? "uses that no register tells of are not reported" + (isDropped ? "" : " and not denied")
                        : "no alert tells of its use"
                ])
    }
}

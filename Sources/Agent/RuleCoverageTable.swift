import PolicyEngine
import PolicyModel

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

    /// - Parameter inTree: the rule is a supervised tree's own, and so only about processes that are in one.
    static func row(for rule: RuleDescription, inTree: Bool = false) -> Row {
        if let preset = rule.isPreset {
            return preset == .filelessExec
                ? Row(
                    enforcedBy: ["fanotify"],
                    gaps: ["memfd execution raises no fanotify event: it is not held"])
                : Row(enforcedBy: [], gaps: ["preset \(preset.rawValue): no mechanism of this version sees it"])
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
            return Row(enforcedBy: ["seccomp"], gaps: inTree ? [] : ["only in supervised trees ('portcullis run')"])
        case .dns: return Row(enforcedBy: [], gaps: ["no mechanism of this version sees it"])
        case .capability:
            guard rule.attributes.action == .block, rule.sources.isEmpty else {
                return Row(enforcedBy: [], gaps: ["only a Block without fromSource is enforced, in supervised trees"])
            }
            return Row(
                enforcedBy: ["capability sets"],
                gaps: inTree
                    ? ["no alert tells of its use"]
                    : ["only in supervised trees ('portcullis run'), when they are started; no alert tells of its use"])
        case .syscall: return Row(enforcedBy: [], gaps: ["no mechanism of this version sees it"])
        }
    }
}

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
        "rename, unlink, link, mkdir, chmod, chown, xattr, truncate(path) and O_PATH have no fanotify permission event: "
            + "only a supervised tree holds them",
        "a denied O_CREAT leaves an empty file behind",
        "io_uring can make a write look like a read (readOnly) unless kernel.io_uring_disabled is set",
    ]

    static func row(for rule: RuleDescription) -> Row {
        if let preset = rule.isPreset {
            return preset == .filelessExec
                ? Row(
                    enforcedBy: ["fanotify"],
                    gaps: ["memfd execution raises no fanotify event: only a supervised tree holds it"])
                : Row(enforcedBy: [], gaps: ["preset \(preset.rawValue) needs a supervised tree"])
        }
        switch rule.category {
        case .file: return Row(enforcedBy: ["fanotify"], gaps: fileGaps)
        case .process:
            return Row(enforcedBy: ["fanotify"], gaps: ["memfd execution raises no fanotify event"])
        case .networkProtocol: return Row(enforcedBy: [], gaps: ["needs a supervised tree"])
        case .dns: return Row(enforcedBy: [], gaps: ["needs a supervised tree"])
        case .capability: return Row(enforcedBy: [], gaps: ["needs a supervised tree"])
        case .syscall: return Row(enforcedBy: [], gaps: ["needs a supervised tree"])
        }
    }
}

import Testing

/// docs/semantics.md, "Audit rules" and "Presets".
@Suite struct AuditSemanticsTests {
    @Test(arguments: audits)
    func auditRule(row: SemanticsRow) throws { #expect(try row.wrongAnswers() == []) }

    @Test(arguments: presets)
    func preset(row: SemanticsRow) throws { #expect(try row.wrongAnswers() == []) }

    private static let audits = [
        SemanticsRow("reports and permits", ["audit file /a"], [("file /a", "audit 1"), ("file /b", "allow")]),
        SemanticsRow(
            "only when the enforcing part allows", ["block file /a/...", "audit file /a/b", "allow file /a/b ro"],
            [("file /a/b", "audit 2"), ("file /a/b w", "block 3"), ("file /a/c", "block 1")]),
        SemanticsRow(
            "permits nothing in an allow-list", ["allow file /a", "audit file /b"], [("file /b", "block default")]),
        SemanticsRow(
            "before a report by the default posture", ["allow file /a", "audit file /b"], posture: .audit,
            [("file /b", "audit 2"), ("file /c", "audit default")]),
        SemanticsRow(
            "readOnly fires on writes", ["audit file /a ro"], [("file /a", "allow"), ("file /a w", "audit 1")]),
        SemanticsRow(
            "ownerOnly fires for others", ["audit file /a owner"], [("file /a owner", "allow"), ("file /a", "audit 1")]),
        SemanticsRow(
            "pts false fires with a terminal", ["audit file /a notty"],
            [("file /a", "allow"), ("file /a tty", "audit 1")]),
        SemanticsRow(
            "allowedArgs fires on others", ["audit process /a args=x"],
            [("process /a args=a,x", "allow"), ("process /a args=a,z", "audit 1")]),
        SemanticsRow(
            "all with the same key are candidates, the first that fires is reported",
            ["audit file /a ro", "audit file /a owner", "audit file /a"],
            [
                ("file /a w", "audit 1"), ("file /a", "audit 2"), ("file /a owner", "audit 3"),
                ("file /a owner w", "audit 1"),
            ]),
        SemanticsRow(
            "tier order",
            [
                "audit process /d/...", "audit process glob:/d/*", "audit process name:a",
                "audit process name:a from=/s",
                "audit process /d/a", "audit process /d/... from=/t", "audit process /d/a from=/u",
                "audit process /d/... from=/u", "audit process /d/x from=/s",
            ],
            [
                ("process /d/a from=/u", "audit 7"), ("process /d/a from=/t", "audit 6"),
                ("process /d/a from=/s", "audit 5"), ("process /d/x from=/s", "audit 9"),
                ("process /e/a from=/s", "audit 4"), ("process /e/a", "audit 3"), ("process /d/b", "audit 2"),
                ("process /d/e/b", "audit 1"),
            ]),
        SemanticsRow(
            "recursive ancestors from the deepest up, then the parent",
            ["audit file /a/b/", "audit file /a/...", "audit file /a/b/... ro", "audit file /c/"],
            [
                ("file /a/b/x", "audit 2"), ("file /a/b/x w", "audit 3"), ("file /c/x", "audit 4"),
                ("file /c/d/x", "allow"),
            ]),
        SemanticsRow(
            "patterns in list order", ["audit file glob:/a/* ro", "audit file glob:/a/b*", "audit file glob:/a/**"],
            [("file /a/bc", "audit 2"), ("file /a/bc w", "audit 1"), ("file /a/c", "audit 3")]),
        SemanticsRow(
            "a pattern with fromSource", ["audit file glob:/a/* from=/s", "audit file glob:/a/**"],
            [("file /a/b from=/s", "audit 1"), ("file /a/b", "audit 2")]),
        SemanticsRow(
            "an Allow rule does not silence", ["allow file /a", "audit file /a/...", "audit file /..."],
            [("file /a", "audit 2"), ("file /b", "block default")]),
    ]

    private static let presets = [
        SemanticsRow(
            "filelessExec", ["block preset filelessExec"],
            [
                ("process /dev/shm/a", "block 1"), ("process /run/shm/a/b", "block 1"),
                ("process /x/memfd:y", "block 1"),
                ("process memfd:y", "block 1"), ("process /dev/shm", "allow"), ("process /memfd:/y", "allow"),
                ("file /dev/shm/a", "allow"),
            ]),
        SemanticsRow(
            "protectEnv", ["block preset protectEnv"],
            [
                ("file /proc/7/environ pid=8", "block 1"), ("file /proc/7/environ pid=7", "allow"),
                ("file /proc/7/environs pid=8", "allow"), ("file /proc/self/environ pid=8", "allow"),
                ("file /proc/7/task/7/environ pid=8", "allow"), ("process /proc/7/environ pid=8", "allow"),
            ]),
        SemanticsRow(
            "protectProc", ["block preset protectProc"],
            [
                ("file /proc/7/mem pid=8", "block 1"), ("file /proc/7/mem pid=7", "allow"),
                ("file /proc/7/task/9/mem pid=9", "block 1"), ("file /proc/7 pid=8", "allow"),
                ("file /proc/70/mem pid=7", "block 1"), ("file /proc/7/mem pid=70", "block 1"),
                ("file /proc/version pid=7", "allow"), ("file /proc/18446744073709551623/mem pid=7", "block 1"),
            ]),
        SemanticsRow(
            "exec: a terminal and setns", ["block preset exec"],
            [("process /a tty setns", "block 1"), ("process /a tty", "allow"), ("process /a setns", "allow")]),
        SemanticsRow(
            "anonymousMapExec has no operation", ["block preset anonymousMapExec"], [("process /a tty", "allow")]),
        SemanticsRow(
            "Audit audits, everything else blocks", ["audit preset filelessExec", "allow preset exec"],
            [("process /dev/shm/a", "audit 1"), ("process /a tty setns", "block 2")]),
        SemanticsRow(
            "a Block preset before the rules", ["allow process /dev/shm/a", "block preset filelessExec"],
            [("process /dev/shm/a", "block 2")]),
        SemanticsRow(
            "an Audit preset if nothing blocks, before Audit rules",
            ["block process /dev/shm/a", "audit process /dev/shm/...", "audit preset filelessExec"],
            [("process /dev/shm/a", "block 1"), ("process /dev/shm/b", "audit 3")]),
        SemanticsRow(
            "an Audit preset before the default posture", ["allow process /a", "audit preset filelessExec"],
            posture: .audit, [("process /dev/shm/b", "audit 2"), ("process /b", "audit default")]),
        SemanticsRow(
            "Block presets before Audit presets", ["audit preset filelessExec", "block preset exec"],
            [("process /dev/shm/a tty setns", "block 2"), ("process /dev/shm/a", "audit 1")]),
        SemanticsRow(
            "then list order", ["audit preset protectProc", "audit preset protectEnv"],
            [("file /proc/7/environ pid=8", "audit 1")]),
        SemanticsRow(
            "the same twice: the later", ["block preset exec", "audit preset exec"],
            [("process /a tty setns", "audit 2")]),
    ]
}

import Testing

/// docs/semantics.md, "Categories", "Enforcing rules": process and file.
@Suite struct ObjectSemanticsTests {
    @Test(arguments: categories + tiers + keys)
    func tierDecides(row: SemanticsRow) throws { #expect(try row.wrongAnswers() == []) }

    @Test(arguments: decisions)
    func ruleSays(row: SemanticsRow) throws { #expect(try row.wrongAnswers() == []) }

    private static let categories = [
        SemanticsRow("no rule of the category: allow", ["allow file /a"], [("process /a", "allow")]),
        SemanticsRow(
            "one Allow rule switches the category", ["allow file /a"],
            [("file /a", "allow 1"), ("file /b", "block default")]),
        SemanticsRow(
            "an Allow rule with fromSource switches it for every source", ["allow file /a from=/s"],
            [("file /a from=/s", "allow 1"), ("file /a from=/t", "block default"), ("file /b", "block default")]),
        SemanticsRow(
            "process and file are switched apart", ["allow file /a", "block process /p"],
            [("process /x", "allow"), ("file /x", "block default"), ("process /p", "block 2")]),
        SemanticsRow(
            "posture audit reports", ["allow file /a"], posture: .audit, [("file /b", "audit default")]),
        SemanticsRow("posture allow is silent", ["allow file /a"], posture: .allow, [("file /b", "allow")]),
        SemanticsRow("Block rules switch nothing", ["block file /a"], [("file /b", "allow")]),
        SemanticsRow("Audit rules switch nothing", ["audit file /a"], [("file /b", "allow")]),
        SemanticsRow(
            "presets switch nothing", ["allow preset protectProc"], [("file /b", "allow"), ("process /b", "allow")]),
        SemanticsRow("syscall rules switch nothing", ["audit call mount"], [("file /b", "allow")]),
        SemanticsRow(
            "policies are merged", ["allow file /a", "---", "block file /b"],
            [("file /a", "allow 1"), ("file /b", "block 3"), ("file /c", "block default")]),
    ]

    private static let tiers = [
        SemanticsRow(
            "tier 1 before 2: exact with source before directory with source",
            ["allow file /d/... from=/s", "block file /d/a from=/s"],
            [("file /d/a from=/s", "block 2"), ("file /d/b from=/s", "allow 1")]),
        SemanticsRow(
            "tier 2 before 3: directory with source before exact",
            ["block file /d/a", "allow file /d/... from=/s"],
            [("file /d/a from=/s", "allow 2"), ("file /d/a from=/t", "block 1")]),
        SemanticsRow(
            "tier 3 before 4: exact before execname", ["block process name:a", "allow process /d/a"],
            [("process /d/a", "allow 2"), ("process /e/a", "block 1"), ("process /e/b", "block default")]),
        SemanticsRow(
            "tier 2 before 4: directory with source before execname with source",
            ["block process name:a from=/s", "allow process /d/ from=/s"],
            [("process /d/a from=/s", "allow 2"), ("process /e/a from=/s", "block 1")]),
        SemanticsRow(
            "execname: with the source first", ["block process name:a", "allow process name:a from=/s"],
            [("process /x/a from=/s", "allow 2"), ("process /x/a from=/t", "block 1")]),
        SemanticsRow(
            "execname is the whole last component", ["block process name:a"],
            [("process /a", "block 1"), ("process /x/ba", "allow"), ("process /a/x", "allow"), ("file /a", "allow")]),
        SemanticsRow(
            "tier 4 before 5: execname before pattern", ["block process glob:/d/*", "allow process name:a"],
            [("process /d/a", "allow 2"), ("process /d/b", "block 1")]),
        SemanticsRow(
            "tier 5 before 6: pattern before directory", ["block file /d/...", "allow file glob:/d/*.c"],
            [("file /d/a.c", "allow 2"), ("file /d/a.h", "block 1"), ("file /d/e/a.c", "block 1")]),
        SemanticsRow(
            "patterns: Block before Allow, then list order",
            ["allow file glob:/d/*", "allow file glob:/d/a*", "block file glob:/d/ab*", "block file glob:/d/abc*"],
            [("file /d/b", "allow 1"), ("file /d/a", "allow 1"), ("file /d/abc", "block 3")]),
        SemanticsRow(
            "a pattern with fromSource holds for that source", ["block file glob:/d/* from=/s"],
            [("file /d/a from=/s", "block 1"), ("file /d/a from=/t", "allow")]),
        SemanticsRow(
            "the deepest recursive directory wins",
            ["block file /a/...", "allow file /a/b/...", "block file /a/b/c/..."],
            [("file /a/x", "block 1"), ("file /a/b/x", "allow 2"), ("file /a/b/c/d/x", "block 3")]),
        SemanticsRow(
            "a recursive directory above beats the parent's non-recursive one",
            ["block file /a/...", "allow file /a/b/"], [("file /a/b/x", "block 1"), ("file /a/b", "allow 2")]),
        SemanticsRow(
            "a non-recursive directory covers its children only", ["block file /a/"],
            [("file /a/x", "block 1"), ("file /a/b/x", "allow"), ("file /ab", "allow"), ("file /a", "block 1")]),
        SemanticsRow(
            "with source: the same order among directories",
            ["block file /a/... from=/s", "allow file /a/b/ from=/s", "allow file /a/c/... from=/s"],
            [("file /a/b/x from=/s", "block 1"), ("file /a/c/x from=/s", "allow 3"), ("file /a/x", "block default")]),
        SemanticsRow(
            "/ recursive covers everything", ["block file /..."],
            [("file /", "block 1"), ("file /a", "block 1"), ("file /a/b", "block 1")]),
        SemanticsRow("/ adds no exact key", ["block file /"], [("file /a", "block 1"), ("file /a/b", "allow")]),
        SemanticsRow(
            "sources are compared for equality only", ["block file /a from=/s/"],
            [("file /a from=/s/x", "allow"), ("file /a from=/s", "allow")]),
        SemanticsRow(
            "a rule with fromSource is not stored without", ["block file /a from=/s,/t"],
            [("file /a", "allow"), ("file /a from=/t", "block 1"), ("file /a from=/s", "block 1")]),
        SemanticsRow(
            "bytes, not letters", ["block file /\u{e9}"], [("file /e\u{301}", "allow"), ("file /\u{e9}", "block 1")]),
    ]

    private static let keys = [
        SemanticsRow(
            "a directory is an exact key too", ["block file /etc/"], [("file /etc", "block 1"), ("file /et", "allow")]),
        SemanticsRow("later replaces earlier", ["block file /a", "allow file /a"], [("file /a", "allow 2")]),
        SemanticsRow(
            "over policies as well", ["block file /a", "---", "allow file /a", "---", "block file /a"],
            [("file /a", "block 5")]),
        SemanticsRow(
            "per source", ["block file /a from=/s", "allow file /a from=/s", "block file /a from=/t"],
            [("file /a from=/s", "allow 2"), ("file /a from=/t", "block 3")]),
        SemanticsRow(
            "a directory's exact key replaces a path's", ["allow file /etc", "block file /etc/"],
            [("file /etc", "block 2")]),
        SemanticsRow(
            "one key per directory: a later non-recursive rule replaces a recursive one",
            ["block file /a/...", "allow file /a/"],
            [("file /a/x", "allow 2"), ("file /a/b/x", "block default")]),
        SemanticsRow(
            "equal patterns replace each other", ["block file glob:/a*", "allow file glob:/a*"],
            [("file /ab", "allow 2")]),
        SemanticsRow(
            "Audit rules replace nothing", ["block file /a", "audit file /a"], [("file /a", "block 1")]),
    ]

    private static let decisions = [
        SemanticsRow(
            "allowedArgs: 2 to 20 entries, each behind the first listed", ["block process /a args=x,y"],
            [
                ("process /a args=a,x", "allow 1"), ("process /a args=a,y,x,x", "allow 1"),
                ("process /a args=a,z", "block 1"), ("process /a args=a,x,z", "block 1"), ("process /a", "block 1"),
                ("process /a args=" + Array(repeating: "x", count: 20).joined(separator: ","), "allow 1"),
                ("process /a args=" + Array(repeating: "x", count: 21).joined(separator: ","), "block 1"),
            ]),
        SemanticsRow(
            "allowedArgs: exactly one entry that is listed", ["block process /a args=x"],
            [("process /a args=x", "allow 1"), ("process /a args=a", "block 1")]),
        SemanticsRow(
            "allowedArgs: an empty argument is an argument", ["block process /a args=x,"],
            [("process /a args=a,,x", "allow 1"), ("process /a args=a,", "allow 1")]),
        SemanticsRow(
            "Allow with allowedArgs restricts nothing", ["allow process /a args=x"],
            [("process /a args=a,z", "allow 1"), ("process /a args=a,x", "allow 1")]),
        SemanticsRow(
            "pts false: a terminal denies", ["allow file /a notty", "block file /b notty"],
            [("file /a tty", "block 1"), ("file /a", "allow 1"), ("file /b tty", "block 2"), ("file /b", "allow 2")]),
        SemanticsRow(
            "pts true changes nothing", ["block file /a tty", "allow file /b tty"],
            [("file /a", "block 1"), ("file /a tty", "block 1"), ("file /b tty", "allow 2")]),
        SemanticsRow(
            "pts before ownerOnly", ["allow file /a notty owner"],
            [("file /a owner tty", "block 1"), ("file /a owner", "allow 1"), ("file /a", "block 1")]),
        SemanticsRow(
            "ownerOnly: for Allow and Block alike", ["allow file /a owner", "block file /b owner"],
            [
                ("file /a", "block 1"), ("file /a owner w", "allow 1"), ("file /b", "block 2"),
                ("file /b owner w", "allow 2"),
            ]),
        SemanticsRow(
            "ownerOnly and readOnly", ["block file /a owner ro"],
            [("file /a owner", "allow 1"), ("file /a owner w", "block 1"), ("file /a", "block 1")]),
        SemanticsRow(
            "readOnly: for Allow and Block alike", ["allow file /a ro", "block file /b ro"],
            [("file /a", "allow 1"), ("file /a w", "block 1"), ("file /b", "allow 2"), ("file /b w", "block 2")]),
        SemanticsRow(
            "readOnly denies under every posture", ["allow file /a ro"], posture: .audit,
            [("file /a w", "block 1"), ("file /b w", "audit default")]),
        SemanticsRow(
            "allowedArgs before pts and owner", ["block process /a args=x notty owner"],
            [("process /a args=a,x tty", "allow 1"), ("process /a args=a tty", "block 1")]),
        SemanticsRow(
            "only the deciding rule speaks", ["block file /a/...", "allow file /a/b ro"],
            [("file /a/b", "allow 2"), ("file /a/b w", "block 2")]),
    ]
}

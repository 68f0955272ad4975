import Testing

/// Facts cost system calls: the engine asks for one only if it can change the outcome.
@Suite struct MissingFactTests {
    @Test(arguments: rows)
    func asksForWhatMatters(row: SemanticsRow) throws { #expect(try row.wrongAnswers() == []) }

    private static let rows = [
        SemanticsRow(
            "a path without bound rules needs no source", ["block file /a", "block file /b from=/s"],
            [("file /a ?all", "block 1"), ("file /b ?all", "needs source"), ("file /c ?all", "allow")]),
        SemanticsRow(
            "a bound directory above needs it, a bound parent only for children",
            ["block file /a/... from=/s", "block file /b/ from=/s"],
            [
                ("file /a/x/y ?all", "needs source"), ("file /b/x ?all", "needs source"), ("file /b/x/y ?all", "allow"),
                ("file /b ?all", "needs source"), ("file /c ?all", "allow"),
            ]),
        SemanticsRow(
            "a bound execname does not matter behind an exact path",
            ["block process name:a from=/s", "allow process /d/a"],
            [("process /d/a ?all", "allow 2"), ("process /e/a ?all", "needs source")]),
        SemanticsRow(
            "a bound pattern only if it would win", ["block file glob:/d/a*", "allow file glob:/d/* from=/s"],
            [("file /d/a ?all", "block 1"), ("file /d/b ?all", "needs source")]),
        SemanticsRow(
            "bound Audit rules only if nothing blocks",
            ["block file /a", "audit file /a from=/s", "audit file /b from=/s"],
            [("file /a ?all", "block 1"), ("file /b ?all", "needs source")]),
        SemanticsRow(
            "write for readOnly", ["block file /a ro"],
            [("file /a ?all", "needs write"), ("file /a ?source", "allow 1")]),
        SemanticsRow(
            "the owner, and then write", ["block file /a ro owner"],
            [
                ("file /a ?all", "needs ownership"), ("file /a w ?ownership", "block 1"),
                ("file /a owner ?write", "needs write"), ("file /a ?write", "block 1"),
            ]),
        SemanticsRow(
            "a terminal", ["block file /a notty", "allow file /b notty owner"],
            [
                ("file /a ?all", "needs terminal"), ("file /b ?terminal", "block 2"),
                ("file /b owner ?terminal", "needs terminal"),
            ]),
        SemanticsRow(
            "arguments only to turn a denial",
            ["block process /a args=x", "allow process /b args=x", "block process /c args=x owner"],
            [
                ("process /a ?all", "needs arguments"), ("process /b ?all", "allow 2"),
                ("process /c owner ?arguments", "allow 3"), ("process /c ?arguments", "needs arguments"),
            ]),
        SemanticsRow(
            "presets", ["block preset exec", "block preset protectEnv"],
            [
                ("process /a ?all", "needs terminal,process"), ("process /a tty ?process", "needs process"),
                ("process /a ?process", "allow"), ("process /a setns ?terminal", "needs terminal"),
                ("process /a ?terminal", "allow"), ("file /proc/1/environ ?all", "needs process"),
                ("file /proc/1/maps ?all", "allow"),
            ]),
        SemanticsRow(
            "an Audit preset only if nothing blocks", ["audit preset exec", "block process /a"],
            [("process /a ?all", "block 2"), ("process /b ?all", "needs terminal,process")]),
        SemanticsRow(
            "Audit patterns: in list order",
            ["audit file glob:/a*", "audit file glob:/ab* ro", "audit file glob:/abc* from=/s"],
            [("file /abc ?all", "audit 1")]),
        SemanticsRow(
            "Audit patterns that may come first", ["audit file glob:/ab* ro", "audit file glob:/a*"],
            [("file /abc ?all", "needs write"), ("file /ac ?all", "audit 2")]),
        SemanticsRow(
            "sockets", ["block tcp from=/s", "audit udp notty", "block icmp notty"],
            [
                ("socket 1 0 ?all", "needs source"), ("socket 2 0 ?all", "needs terminal"),
                ("socket 3 1 ?all", "needs terminal"),
                ("socket 4 0 ?all", "allow"),
            ]),
        SemanticsRow(
            "names, capabilities and calls",
            [
                "block dns a.b from=/s", "block cap 1 from=/s", "audit call mount from=/s", "audit call open",
                "audit call open from=/s",
            ],
            [
                ("dns x.a.b ?all", "needs source"), ("dns b ?all", "allow"), ("cap 1 ?all", "needs source"),
                ("cap 2 ?all", "allow"), ("call mount ?all", "needs source"), ("call open ?all", "audit 4"),
            ]),
    ]
}

import Testing

/// docs/semantics.md, "Protocols", "DNS", "Capabilities", "Syscall rules".
@Suite struct OtherSemanticsTests {
    @Test(arguments: protocols + domains + capabilities + calls)
    func decides(row: SemanticsRow) throws { #expect(try row.wrongAnswers() == []) }

    private static let protocols = [
        SemanticsRow(
            "transport of type and number", ["block tcp", "block udp", "block icmp", "block icmpv6", "block sctp"],
            [
                ("socket 1 0", "block 1"), ("socket 1 6", "block 1"), ("socket 3 6", "block 1"),
                ("socket 2 0", "block 2"), ("socket 2 17", "block 2"), ("socket 3 17", "block 2"),
                ("socket 2 1", "block 3"), ("socket 3 1", "block 3"), ("socket 2 58", "block 4"),
                ("socket 3 58", "block 4"), ("socket 1 132", "block 5"), ("socket 5 132", "block 5"),
                ("socket 5 0", "block 5"), ("socket 3 0", "allow"), ("socket 3 255", "allow"),
                ("socket 3 300", "allow"),
                ("socket 3 -1", "allow"),
            ]),
        SemanticsRow(
            "protocol keys are for internet families only", ["block tcp", "block stream"],
            [("socket 1 0 unix", "block 2"), ("socket 1 0", "block 2"), ("socket 2 0 unix", "allow")]),
        SemanticsRow("AF_UNIX is no TCP", ["block tcp"], [("socket 1 0 unix", "allow"), ("socket 1 0", "block 1")]),
        SemanticsRow("flags of the type are ignored", ["block stream"], [("socket 526337 0", "block 1")]),
        SemanticsRow(
            "tiers: type and source, protocol and source, type, protocol",
            ["block tcp", "allow stream", "block tcp from=/s", "allow stream from=/t"],
            [
                ("socket 1 0 from=/t", "allow 4"), ("socket 1 0 from=/s", "block 3"), ("socket 1 0", "allow 2"),
                ("socket 3 6", "block 1"), ("socket 2 0", "block default"),
            ]),
        SemanticsRow(
            "all is the seven types, pts kept", ["block all notty"],
            [
                ("socket 1 0 tty", "block 1"), ("socket 10 0 tty", "block 1"), ("socket 1 0", "allow 1"),
                ("socket 7 0 tty", "allow"),
            ]),
        SemanticsRow(
            "later replaces earlier, per source", ["block tcp", "allow tcp", "block tcp from=/s"],
            [("socket 1 0", "allow 2"), ("socket 1 0 from=/s", "block 3")]),
        SemanticsRow(
            "pts on Allow", ["allow tcp notty"], [("socket 1 0 tty", "block 1"), ("socket 1 0", "allow 1")]),
        SemanticsRow(
            "Audit rules", ["audit tcp from=/s", "audit stream", "block udp", "audit udp"],
            [("socket 1 0 from=/s", "audit 1"), ("socket 1 0", "audit 2"), ("socket 2 0", "block 3")]),
        SemanticsRow(
            "Audit type before protocol", ["audit tcp", "audit stream notty"],
            [("socket 1 0 tty", "audit 2"), ("socket 1 0", "audit 1")]),
    ]

    private static let domains = [
        SemanticsRow(
            "exact, then parents", ["block dns example.com", "allow dns www.example.com"],
            [
                ("dns example.com", "block 1"), ("dns a.example.com", "block 1"), ("dns www.example.com", "allow 2"),
                ("dns a.www.example.com", "allow 2"), ("dns xexample.com", "block default"),
                ("dns com", "block default"),
            ]),
        SemanticsRow(
            "case and trailing dot", ["block dns Example.COM"],
            [("dns eXample.com.", "block 1"), ("dns A.EXAMPLE.COM", "block 1")]),
        SemanticsRow(
            "every parent with the source before any name without",
            ["allow dns a.example.com", "block dns com from=/s"],
            [("dns a.example.com from=/s", "block 2"), ("dns a.example.com", "allow 1")]),
        SemanticsRow(
            "every parent", ["block dns evil.com"],
            [
                ("dns 1.2.3.4.5.6.7.8.9.10.evil.com", "block 1"), ("dns 1.2.3.4.5.6.7.8.9.10.11.evil.com", "block 1"),
                ("dns 9.evil.com", "block 1"),
            ]),
        SemanticsRow(
            "later replaces earlier", ["block dns a.b", "allow dns a.b"],
            [("dns a.b", "allow 2"), ("dns b", "block default")]),
        SemanticsRow(
            "Audit rules: nearest first, with the source first",
            ["audit dns b", "audit dns a.b", "audit dns b from=/s"],
            [("dns a.b", "audit 2"), ("dns c.b", "audit 1"), ("dns a.b from=/s", "audit 3")]),
        SemanticsRow("no name", ["block dns a"], [("dns .", "allow")]),
    ]

    private static let capabilities = [
        SemanticsRow(
            "with the source first", ["block cap 13", "allow cap 13 from=/s"],
            [
                ("cap 13", "block 1"), ("cap 13 from=/s", "allow 2"), ("cap 12", "block default"),
                ("cap 200", "block default"),
            ]),
        SemanticsRow("later replaces earlier", ["block cap 0", "block cap 0"], [("cap 0", "block 2")]),
        SemanticsRow(
            "Audit rules", ["audit cap 40", "audit cap 40 from=/s"],
            [("cap 40", "audit 1"), ("cap 40 from=/s", "audit 2")]),
    ]

    private static let calls = [
        SemanticsRow(
            "by name", ["audit call mount,umount"],
            [("call mount", "audit 1"), ("call umount /a", "audit 1"), ("call open", "allow")]),
        SemanticsRow(
            "a path is exact", ["audit call unlink path=/a"],
            [("call unlink /a", "audit 1"), ("call unlink /a/b", "allow"), ("call unlink", "allow")]),
        SemanticsRow(
            "a directory: children only unless recursive",
            ["audit call unlink path=/a/", "audit call unlink path=/b/..."],
            [
                ("call unlink /a/x", "audit 1"), ("call unlink /a/x/y", "allow"), ("call unlink /a", "allow"),
                ("call unlink /b/x/y", "audit 2"), ("call unlink /b", "allow"),
            ]),
        SemanticsRow(
            "sources: equal, or a directory", ["audit call mount from=/bin/a,/sbin/,/opt/..."],
            [
                ("call mount from=/bin/a", "audit 1"), ("call mount from=/bin/ab", "allow"),
                ("call mount from=/sbin/x", "audit 1"), ("call mount from=/sbin/x/y", "allow"),
                ("call mount from=/opt/x/y", "audit 1"), ("call mount", "allow"),
            ]),
        SemanticsRow(
            "first in list order",
            ["audit call unlink path=/a/... from=/s", "audit call unlink path=/a/b", "audit call unlink"],
            [
                ("call unlink /a/b from=/s", "audit 1"), ("call unlink /a/b", "audit 2"),
                ("call unlink /a/c", "audit 3"),
                ("call unlink /x", "audit 3"),
            ]),
        SemanticsRow("what blocks a call audits none", ["block call mount"], [("call mount", "allow")]),
        SemanticsRow("a path never blocks", ["block call mount path=/a"], [("call mount /a", "audit 1")]),
        SemanticsRow(
            "an entry's own Block", ["block call mount", "audit call mount"],
            [("refuse mount", "block 1"), ("refuse umount", "allow"), ("call mount", "audit 2")]),
        SemanticsRow(
            "Block for one program", ["block call mount from=/s", "block call mount from=/u"],
            [
                ("refuse mount from=/s", "block 1"), ("refuse mount from=/t", "allow"),
                ("refuse mount from=/u", "block 2"),
            ]),
    ]
}

import Testing

/// The reference's globs against cases written by hand: what apparmor.d(5) says, so that the property test compares
/// the engine with something that is right.
@Suite struct ReferenceGlobTests {
    @Test(arguments: [
        ("/a", "/a", true), ("/a", "/ab", false), ("/a", "/", false),
        ("/*", "/a", true), ("/*", "/a/b", false), ("/a*", "/a", true), ("/a*", "/abc", true), ("/a*", "/b", false),
        ("/*/c", "/ab/c", true), ("/*/c", "/a/b/c", false),
        ("/**", "/a/b/c", true), ("/**/c", "/a/b/c", true), ("/**/c", "/c", false), ("/a**", "/a/b", true),
        ("/a**", "/ab", true), ("/a/**b", "/a/x/yb", true), ("/a/**b", "/a/x/yc", false),
        ("/?", "/a", true), ("/?", "/ab", false), ("/a?b", "/a/b", false), ("/?", "/é", false), ("/??", "/é", true),
        ("/[ab]", "/b", true), ("/[ab]", "/c", false), ("/[a-c]x", "/bx", true), ("/[a-c]x", "/dx", false),
        ("/[a-c]x", "/-x", false),
        ("/[a-cx-z]", "/y", true), ("/[a-cx-z]", "/f", false), ("/[a-]", "/-", true),
        ("/[^a]", "/b", true), ("/[^a]", "/a", false), ("/[^a-c]", "/b", false), ("/[^a-c]", "/d", true),
        ("/{a,b}", "/a", true), ("/{a,b}", "/b", true), ("/{a,b}", "/c", false), ("/{a,b}", "/{a,b}", false),
        ("/{a,}b", "/b", true), ("/{a,}b", "/ab", true), ("/{a,{b,c*}}", "/cxx", true), ("/{a,{b,c*}}", "/d", false),
        ("/{a/x,b}/c", "/a/x/c", true), ("/{a,b}{c,d}", "/bd", true), ("/{a,b}{c,d}", "/b", false),
        ("/{a,c*}*", "/cx", true), ("/{a,c*}*", "/c/x", false), ("/a,b", "/a,b", true), ("/a[^b]c", "/a/c", true),
        ("/\\*", "/*", true), ("/\\*", "/a", false), ("/\\{a,b\\}", "/{a,b}", true), ("/\\{a,b\\}", "/a", false),
        ("/{a\\,b,c}", "/a,b", true), ("/{a\\,b,c}", "/c", true), ("/{a\\,b,c}", "/a", false),
        ("/\\[a]", "/[a]", true), ("/\\\\", "/\\", true),
    ])
    func matches(pattern: String, path: String, expected: Bool) {
        #expect(ReferenceGlob(pattern).matches(Array(path.utf8)) == expected)
    }
}

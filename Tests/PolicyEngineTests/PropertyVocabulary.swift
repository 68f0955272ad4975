/// The words of one random policy set: so few that rules and operations meet all the time.
struct PropertyVocabulary {
    let components: [String]
    let depth: Int

    /// Executables used as sources.
    static let executables = ["/a", "/bin/a", "/bin/b", "/bin/ab", "/b/c/e\u{301}", "/b/c/\u{e9}"]
    static let arguments = ["a", "b", "-x", "", "a b"]
    static let domains = ["com", "a.com", "b.com", "x.a.com", "y.x.a.com", "xa.com", "a", "1.2.3.4.5.6.7.8.9.a.com"]
    static let domainPrefixes = ["a", "x", "y", "w.v", "1.2.3.4.5.6.7.8.9", "X", "e\u{301}"]
    static let systemCalls = ["open", "openat", "unlink", "o"]
    /// Paths that presets look at, and near misses.
    static let special = [
        "/proc/1/environ", "/proc/7/environ", "/proc/71/environ", "/proc/7/mem", "/proc/71/task/7/environ",
        "/proc/7", "/proc/self/environ", "/proc/7a/environ", "/proc/7/environs", "/proc/99999999999999999999/environ",
        "/proc/18446744073709551623/environ", "/proc/18446744073709551617/mem",
        "/procx/7/environ", "/x/proc/7/environ", "/proc/sys/kernel", "/dev/shm/a", "/dev/shm", "/dev/shma",
        "/dev/shm/b/a", "/run/shm/a", "/run/shm/a/b", "/run/shm", "/x/dev/shm/a", "/memfd:a", "/a/memfd:", "/memfd",
        "/a/xmemfd:a", "/memfd:a/b", "memfd:a", "ab",
    ]

    init(_ random: inout PropertyRandom) {
        let long = String(repeating: "l", count: 200)
        switch random.below(8) {
        case 0: (components, depth) = (["a"], 4)
        case 1, 2: (components, depth) = (["a", "b"], 3)
        case 3, 4: (components, depth) = (["a", "b", "c", "ab"], 3)
        case 5: (components, depth) = (["a", "aa", "a.b", "A", "a b", "-"], 3)
        case 6:
            // Equal as Swift strings, different as bytes; and names that look like globs.
            (components, depth) = (["\u{e9}", "e\u{301}", "e", "a*", "[ab]", "{a,b}", "\\a"], 2)
        default: (components, depth) = ([long, long + "m", "a"], 20)
        }
    }

    /// A path of 1…depth components; rarely one that presets look at, or the root.
    func path(_ random: inout PropertyRandom) -> String {
        if random.chance(6) { return random.pick(Self.special) }
        let count = depth > 5 && random.chance(60) ? 2 : depth
        var path = ""
        for _ in 0...random.below(count) { path += "/" + random.pick(components) }
        return path
    }

    func directory(_ random: inout PropertyRandom) -> String {
        random.chance(12) ? "/" : path(&random) + "/"
    }

    /// A glob over the components; often one that many sets share, so that patterns overlap and repeat.
    func pattern(_ random: inout PropertyRandom) -> String {
        if depth > 5 {
            // One `**` at most: the reference tries every way through thousands of bytes.
            let head = random.chance(50) ? "/" + random.pick(components) : ""
            return head + random.pick(["/**", "/*", "/**/a", "/**m/*", "/l*", "/*/l*", "/l*/*/a"])
        }
        if random.chance(30) { return random.pick(["/**", "/*", "/*/*", "/{a,b}/**", "/a*"]) }
        var pattern = ""
        for _ in 0...random.below(3) {
            pattern += random.chance(92) ? "/" : ""
            pattern += piece(&random)
            if random.chance(20) { pattern += piece(&random) }
        }
        return pattern.hasPrefix("/") ? pattern : "/" + pattern
    }

    private func piece(_ random: inout PropertyRandom) -> String {
        switch random.below(18) {
        case 0, 1: "*"
        case 2: "**"
        case 3: "?"
        case 4: "??"
        case 5: "[ab]"
        case 6: "[a-c]"
        case 7: "[^a]"
        case 8: "[^b-z]"
        case 9: "{a,b}"
        case 10: "{a,b/c,a/**}"
        case 11: "{a,}b"
        case 12: "{a,{b,c*}}"
        case 13: "a*"
        case 14: "*b"
        case 15: "**b"
        case 16: "\\a"
        default: Self.escaped(random.pick(components))
        }
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            if "*?[]{},\\^-".unicodeScalars.contains(scalar) { result.unicodeScalars.append("\\") }
            result.unicodeScalars.append(scalar)
        }
        return result
    }
}

import PolicyModel
import Testing

/// Sections 3.1 and 3.2 of the language: what each field becomes, and which values it refuses.
@Suite("Process and file sections")
struct ProcessAndFileTests {
    static let path200 = "/" + String(repeating: "x", count: 199)
    static let path4095 = "/" + String(repeating: "y", count: 4_094)

    @Test(arguments: [
        ("matchPaths: [{path: /bin/ls}]", [ProcessRule(.path("/bin/ls"))]),
        ("matchPaths: [{path: //usr//./bin/ls}]", [ProcessRule(.path("/usr/bin/ls"))]),
        ("matchPaths: [{path: /a}]", [ProcessRule(.path("/a"))]),
        ("matchPaths: [{path: \(path200)}]", [ProcessRule(.path(path200))]),
        ("matchPaths: [{path: \(path4095)}]", [ProcessRule(.path(path4095))]),
        ("matchPaths: [{path: \"/with space/ü\"}]", [ProcessRule(.path("/with space/ü"))]),
        ("matchPaths: [{path: /a/..b}]", [ProcessRule(.path("/a/..b"))]),
        ("matchPaths: [{execname: nc}]", [ProcessRule(.execname("nc"))]),
        ("matchPaths: [{path: /a, execname: nc}]", [ProcessRule(.path("/a"))]),
        (
            "matchPaths: [{path: /a, allowedArgs: [-x, \"\", \"5\"]}]",
            [ProcessRule(.path("/a"), args: ["-x", "", "5"])]
        ),
        ("matchPaths: [{path: /a, allowedArgs: []}]", [ProcessRule(.path("/a"))]),
        ("matchPaths: [{path: /a, ownerOnly: true}]", [ProcessRule(.path("/a"), owner: true)]),
        ("matchPaths: [{path: /a, ownerOnly: false}]", [ProcessRule(.path("/a"))]),
        ("matchPaths: [{path: /a, ownerOnly: yes}]", [ProcessRule(.path("/a"), owner: true)]),
        ("matchPaths: [{path: /a, pts: false}]", [ProcessRule(.path("/a"), pts: false)]),
        ("matchPaths: [{path: /a, pts: true}]", [ProcessRule(.path("/a"), pts: true)]),
        ("matchPaths: [{path: /a, pts: null}]", [ProcessRule(.path("/a"))]),
        (
            "matchPaths: [{path: /a, fromSource: [{path: /b}, {path: /c//d}]}]",
            [ProcessRule(.path("/a"), from: ["/b", "/c/d"])]
        ),
        ("matchPaths: [{path: /a, fromSource: []}]", [ProcessRule(.path("/a"))]),
        ("matchPaths: [{path: /a, fromSource: [{}, {path: /b}]}]", [ProcessRule(.path("/a"), from: ["/b"])]),
        ("matchPaths: []", []), ("matchPaths: null", []), ("{}", []),
        ("matchDirectories: [{dir: /}]", [ProcessRule(.directory("/", recursive: false))]),
        ("matchDirectories: [{dir: /./}]", [ProcessRule(.directory("/", recursive: false))]),
        ("matchDirectories: [{dir: /a//b/}]", [ProcessRule(.directory("/a/b/", recursive: false))]),
        ("matchDirectories: [{dir: /a/, recursive: true}]", [ProcessRule(.directory("/a/", recursive: true))]),
        (
            "matchDirectories: [{dir: /a/, ownerOnly: true, pts: false, fromSource: [{path: /b}]}]",
            [ProcessRule(.directory("/a/", recursive: false), owner: true, pts: false, from: ["/b"])]
        ),
        ("matchPatterns: [{pattern: \"/a/**/[x-z]?{b,c}\"}]", [ProcessRule(.pattern("/a/**/[x-z]?{b,c}"))]),
        ("matchPatterns: [{pattern: any words, ownerOnly: true}]", [ProcessRule(.pattern("any words"), owner: true)]),
        (
            "matchPatterns: [{pattern: /c*}], matchDirectories: [{dir: /b/}], matchPaths: [{path: /a}]",
            [
                ProcessRule(.path("/a")), ProcessRule(.directory("/b/", recursive: false)),
                ProcessRule(.pattern("/c*")),
            ]
        ),
    ])
    func processRules(section: String, expected: [ProcessRule]) {
        for kind in SpecText.ruleKinds {
            let text = SpecText(kind, "process: \(section == "{}" ? section : "{\(section)}")")
            #expect(text.policy == text.empty { $0.process = expected }, "\(kind): \(text.result.diagnostics)")
        }
    }

    @Test(arguments: [
        ("matchPaths: [{path: /etc/shadow}]", [FileRule(.path("/etc/shadow"))]),
        ("matchPaths: [{path: \(path4095)}]", [FileRule(.path(path4095))]),
        ("matchPaths: [{path: /a, readOnly: true}]", [FileRule(.path("/a"), readOnly: true)]),
        ("matchPaths: [{path: /a, ownerOnly: true}]", [FileRule(.path("/a"), owner: true)]),
        ("matchPaths: [{path: /a, pts: false}]", [FileRule(.path("/a"), pts: false)]),
        ("matchPaths: [{path: /a, fromSource: [{path: /b}]}]", [FileRule(.path("/a"), from: ["/b"])]),
        ("matchDirectories: [{dir: /a/}]", [FileRule(.directory("/a/", recursive: false))]),
        (
            "matchDirectories: [{dir: /, recursive: true, readOnly: true, ownerOnly: true, pts: true, fromSource: [{path: /b}]}]",
            [FileRule(.directory("/", recursive: true), readOnly: true, owner: true, pts: true, from: ["/b"])]
        ),
        (
            "matchPatterns: [{pattern: \"/h/*\", readOnly: true, ownerOnly: true}]",
            [FileRule(.pattern("/h/*"), readOnly: true, owner: true)]
        ),
        (
            "matchPatterns: [{pattern: /c*}], matchDirectories: [{dir: /b/}], matchPaths: [{path: /a}]",
            [FileRule(.path("/a")), FileRule(.directory("/b/", recursive: false)), FileRule(.pattern("/c*"))]
        ),
    ])
    func fileRules(section: String, expected: [FileRule]) {
        for kind in SpecText.ruleKinds {
            let text = SpecText(kind, "file: {\(section)}")
            #expect(text.policy == text.empty { $0.file = expected }, "\(kind): \(text.result.diagnostics)")
        }
    }

    /// `@` stands for the section: both refuse the same paths, directories and patterns.
    @Test(arguments: [
        ("{matchPaths: [{path: bin/ls}]}", "matchPaths[0].path 'bin/ls' must be an absolute path"),
        ("{matchPaths: [{path: \"\"}]}", "matchPaths[0].path '' must be an absolute path"),
        (
            "{matchPaths: [{path: /}]}",
            "matchPaths[0].path '/' must not end in '/' (a directory goes into matchDirectories)"
        ),
        ("{matchPaths: [{path: /.}]}", "matchPaths[0].path '/.' must name a file"),
        ("{matchPaths: [{path: //./.}]}", "matchPaths[0].path '//./.' must name a file"),
        ("{matchPaths: [{path: /a/..}]}", "matchPaths[0].path '/a/..' must not contain '..'"),
        ("{matchPaths: [{path: \"/a\\0b\"}]}", "matchPaths[0].path '/a\\u{0}b' must not contain a NUL byte"),
        (
            "{matchPaths: [{path: /a, fromSource: [{path: b}]}]}",
            "matchPaths[0].fromSource[0].path 'b' must be an absolute path"
        ),
        (
            "{matchPaths: [{path: /a, fromSource: [{path: \"\"}]}]}",
            "matchPaths[0].fromSource[0].path '' must be an absolute path"
        ),
        (
            "{matchPaths: [{path: /a, fromSource: [{path: /b/}]}]}",
            "matchPaths[0].fromSource[0].path '/b/' must not end in '/' (a directory goes into matchDirectories)"
        ),
        ("{matchDirectories: [{}]}", "matchDirectories[0].dir is required"),
        ("{matchDirectories: [{dir: a/}]}", "matchDirectories[0].dir 'a/' must be an absolute path"),
        ("{matchDirectories: [{dir: /a}]}", "matchDirectories[0].dir '/a' must end in '/'"),
        ("{matchDirectories: [{dir: \"\"}]}", "matchDirectories[0].dir '' must be an absolute path"),
        ("{matchDirectories: [{dir: /a/../b/}]}", "matchDirectories[0].dir '/a/../b/' must not contain '..'"),
        ("{matchPatterns: [{}]}", "matchPatterns[0].pattern is required"),
        ("{matchPatterns: [{pattern: \"\"}]}", "matchPatterns[0].pattern '' must not be empty"),
        ("{matchPatterns: [{pattern: \"/{a\"}]}", "matchPatterns[0].pattern '/{a' has a '{' that is not closed"),
        ("{matchPatterns: [{pattern: \"/a}\"}]}", "matchPatterns[0].pattern '/a}' has a '}' without a '{'"),
        ("{matchPatterns: [{pattern: '/a\\'}]}", "matchPatterns[0].pattern '/a\\' ends in a backslash"),
        ("{action: Deny}", "action must be Allow, Audit or Block, not 'Deny'"),
        ("{matchPaths: [{path: /a, action: \"\"}]}", "matchPaths[0].action must be Allow, Audit or Block, not ''"),
        ("{matchPaths: [{path: /a, severity: 0}]}", "matchPaths[0].severity must be between 1 and 10, not 0"),
        ("{severity: 11}", "severity must be between 1 and 10, not 11"),
    ])
    func bothRefuse(spec: String, problem: String) {
        for kind in SpecText.ruleKinds {
            for section in ["process", "file"] {
                let errors = SpecText(kind, "\(section): \(spec)").errors.map {
                    $0.split(separator: " ", maxSplits: 1)[1]
                }
                #expect(errors == ["spec.\(section).\(problem)"], "\(kind)")
            }
        }
    }

    @Test func pathsMayBe4095BytesLong() {
        for section in ["process", "file"] {
            let errors = SpecText(.host, "\(section): {matchPaths: [{path: \(Self.path4095)z}]}").errors
            #expect(errors.count == 1 && errors.first?.hasPrefix("5:\(section.count + 26): spec.\(section)") == true)
        }
    }

    @Test(arguments: [
        ("{matchPaths: [{}]}", "matchPaths[0] needs a path or an execname"),
        ("{matchPaths: [{execname: \"\"}]}", "matchPaths[0].execname must be a file name without '/'"),
        ("{matchPaths: [{execname: /bin/nc}]}", "matchPaths[0].execname must be a file name without '/'"),
        ("{matchPaths: [{execname: ..}]}", "matchPaths[0].execname must be a file name, not '..'"),
        ("{matchPaths: [{execname: \"n\\0c\"}]}", "matchPaths[0].execname must not contain a NUL byte"),
        (
            "{matchPaths: [{execname: \(String(repeating: "x", count: 256))}]}",
            "matchPaths[0].execname is longer than 255 bytes"
        ),
        (
            "{matchPaths: [{path: /a, allowedArgs: [\"x\\0\"]}]}",
            "matchPaths[0].allowedArgs must not contain a NUL byte"
        ),
        (
            "{matchPaths: [{path: /a, allowedArgs: [\((0..<21).map { "a\($0)" }.joined(separator: ","))]}]}",
            "matchPaths[0].allowedArgs has 21 items, more than 20"
        ),
    ])
    func processRefuses(spec: String, problem: String) {
        let errors = SpecText(.container, "process: \(spec)").errors.map { $0.split(separator: " ", maxSplits: 1)[1] }
        #expect(errors == ["spec.process.\(problem)"])
    }

    @Test func aFileRuleNeedsItsPath() {
        #expect(
            SpecText(.host, "file: {matchPaths: [{}]}").errors == ["5:23: spec.file.matchPaths[0].path is required"])
    }

    @Test func whatHasNoEffectIsWarnedAbout() {
        #expect(
            SpecText(.host, "process: {matchPaths: [{path: /a, execname: b, fromSource: [{}]}]}").warnings == [
                "5:47: warning: spec.process.matchPaths[0].execname has no effect beside a path",
                "5:63: warning: spec.process.matchPaths[0].fromSource[0] has no effect: it has no path",
            ])
    }
}

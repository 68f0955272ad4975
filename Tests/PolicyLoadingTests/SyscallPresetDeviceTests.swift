import PolicyModel
import Testing

@testable import PolicyLoading

/// Sections 3.5, 3.6 and 3.7 of the language: what each field becomes, and which values it refuses.
@Suite("Syscalls, presets and device sections")
struct SyscallPresetDeviceTests {
    @Test(arguments: [
        ("matchSyscalls: [{syscall: [unlink]}]", [SyscallRule(["unlink"])]),
        ("matchSyscalls: [{syscall: [mount, umount, umount2]}]", [SyscallRule(["mount", "umount", "umount2"])]),
        (
            "matchSyscalls: [{syscall: [_sysctl, getpmsg, tuxcall, security, rseq]}]",
            [SyscallRule(["_sysctl", "getpmsg", "tuxcall", "security", "rseq"])]
        ),
        (
            "matchSyscalls: [{syscall: [read], fromSource: [{path: /b}, {dir: /c/}, {dir: /d, recursive: true}, {dir: /}]}]",
            [
                SyscallRule(
                    ["read"],
                    from: [
                        .init(path: "/b"), .init(path: "/c/"), .init(path: "/d/", recursive: true), .init(path: "/"),
                    ])
            ]
        ),
        ("matchSyscalls: [{syscall: [read], severity: 4}]", [SyscallRule(["read"], severity: 4)]),
        ("severity: 3, matchSyscalls: [{syscall: [read]}]", [SyscallRule(["read"], severity: 3)]),
        ("matchPaths: [{path: /a, syscall: [unlink]}]", [SyscallRule(["unlink"], path: "/a")]),
        ("matchPaths: [{path: /a/, syscall: [unlink]}]", [SyscallRule(["unlink"], path: "/a/")]),
        ("matchPaths: [{path: /, syscall: [unlink]}]", [SyscallRule(["unlink"], path: "/")]),
        (
            "matchPaths: [{path: /a//b/, recursive: true, syscall: [unlink], fromSource: [{dir: /x/y/, recursive: false}]}]",
            [SyscallRule(["unlink"], path: "/a/b/", recursive: true, from: [.init(path: "/x/y/")])]
        ),
    ])
    func syscallRules(section: String, expected: [SyscallRule]) {
        for kind in SpecText.ruleKinds {
            let text = SpecText(kind, "syscalls: {\(section)}")
            #expect(text.policy == text.empty { $0.syscalls = expected }, "\(kind): \(text.result.diagnostics)")
        }
    }

    /// The action of the spec does not reach system calls: they are only ever reported.
    @Test func systemCallsAreAlwaysAudited() {
        let text = SpecText(.container, "action: Block\nsyscalls: {matchSyscalls: [{syscall: [read]}]}")
        #expect(text.policy?.syscalls == [SyscallRule(["read"])] && text.policy?.attributes.action == .block)
    }

    /// The extension: an entry that itself says so.
    @Test(arguments: [("Block", RuleAction.block), ("Audit", .audit)])
    func anEntryMayHaveAnAction(word: String, action: RuleAction) {
        let text = SpecText(.container, "syscalls: {matchSyscalls: [{syscall: [read], action: \(word)}]}")
        #expect(text.policy?.syscalls.map(\.attributes.action) == [action], "\(text.result.diagnostics)")
    }

    @Test(arguments: [
        (
            "matchSyscalls: [{syscall: [read], action: Allow}]",
            "matchSyscalls[0].action must be Audit or Block, not 'Allow'"
        ),
        ("matchSyscalls: [{}]", "matchSyscalls[0].syscall is required"),
        ("matchSyscalls: [{syscall: []}]", "matchSyscalls[0].syscall is required"),
        (
            "matchSyscalls: [{syscall: [clone3]}]",
            "matchSyscalls[0].syscall 'clone3' is not known (did you mean 'clone'?)"
        ),
        (
            "matchSyscalls: [{syscall: [openat2]}]",
            "matchSyscalls[0].syscall 'openat2' is not known (did you mean 'openat'?)"
        ),
        (
            "matchSyscalls: [{syscall: [UNLINK]}]",
            "matchSyscalls[0].syscall 'UNLINK' is not known (did you mean 'unlink'?)"
        ),
        ("matchPaths: [{syscall: [read]}]", "matchPaths[0].path is required"),
        ("matchPaths: [{path: a, syscall: [read]}]", "matchPaths[0].path 'a' must be an absolute path"),
        ("matchPaths: [{path: /a/../b/, syscall: [read]}]", "matchPaths[0].path '/a/../b/' must not contain '..'"),
        ("matchPaths: [{path: /., syscall: [read]}]", "matchPaths[0].path '/.' must name a file"),
        (
            "matchSyscalls: [{syscall: [read], fromSource: [{path: b}]}]",
            "matchSyscalls[0].fromSource[0].path 'b' must be an absolute path"
        ),
        (
            "matchSyscalls: [{syscall: [read], fromSource: [{dir: b}]}]",
            "matchSyscalls[0].fromSource[0].dir 'b' must be an absolute path"
        ),
        (
            "matchSyscalls: [{syscall: [read], fromSource: [{dir: \"\"}]}]",
            "matchSyscalls[0].fromSource[0].dir '' must be an absolute path"
        ),
        (
            "matchSyscalls: [{syscall: [read], fromSource: [{dir: /b/../c/}]}]",
            "matchSyscalls[0].fromSource[0].dir '/b/../c/' must not contain '..'"
        ),
        (
            "matchSyscalls: [{syscall: [read], fromSource: [{dir: /b/, path: /c}]}]",
            "matchSyscalls[0].fromSource[0] must have a path or a dir, not both"
        ),
    ])
    func syscallsRefuse(section: String, problem: String) {
        for kind in SpecText.ruleKinds {
            let errors = SpecText(kind, "syscalls: {\(section)}").errors.map {
                $0.split(separator: " ", maxSplits: 1)[1]
            }
            #expect(errors == ["spec.syscalls.\(problem)"], "\(kind)")
        }
    }

    // MARK: - Presets

    @Test(arguments: [PolicyKind.container, .cluster])
    func presets(kind: PolicyKind) {
        let names = ["filelessExec", "anonymousMapExec", "protectEnv", "protectProc", "exec"]
        for name in names {
            // Audit audits; everything else blocks.
            for (action, expected) in [("", RuleAction.block), ("Block", .block), ("Allow", .block), ("Audit", .audit)]
            {
                let field = action.isEmpty ? "" : ", action: \(action)"
                let text = SpecText(
                    kind, "presets: [{name: \(name)\(field)}]\nseverity: 7\ntags: [t]\nmessage: m\naction: Audit")
                let wanted = text.empty {
                    $0.attributes = RuleAttributes(severity: 7, tags: ["t"], message: "m", action: .audit)
                    let attributes = RuleAttributes(severity: 7, tags: ["t"], message: "m", action: expected)
                    $0.presets =
                        PresetName(rawValue: name).map {
                            [PresetRule(name: $0, attributes: attributes, position: SpecText.here)]
                        } ?? []
                }
                #expect(text.policy == wanted, "\(name) \(action): \(text.result.diagnostics)")
            }
        }
        #expect(SpecText(kind, "presets: [{}]").errors == ["5:13: spec.presets[0].name is required"])
        #expect(
            SpecText(kind, "presets: [{name: protectenv}]").errors
                == ["5:20: spec.presets[0].name 'protectenv' is not known (did you mean 'protectEnv'?)"])
        #expect(
            SpecText(kind, "presets: [{name: exec, action: audit}]").errors == [
                "5:34: spec.presets[0].action must be Allow, Audit or Block, not 'audit' (did you mean 'Audit'?)"
            ])
    }

    // MARK: - Devices

    /// A rule as the loader makes it of these numbers.
    static func device(_ usbClass: Int?, _ subClass: Int? = nil, _ number: Int? = nil, level: Int? = nil) -> DeviceRule
    {
        var rule = DeviceRule(usbClass: usbClass, attributes: RuleAttributes(), position: SpecText.here)
        rule.subClass = subClass
        rule.protocolNumber = number
        rule.level = level
        return rule
    }

    @Test(arguments: [
        ("class: ALL", device(nil)), ("class: MASS-STORAGE", device(8)), ("class: mass-storage", device(8)),
        ("class: \"8\"", device(8)), ("class: 8", device(8)), ("class: \"0x08\"", device(8)),
        ("class: 0xff", device(255)),
        ("class: \"0\"", device(0)), ("class: HID, subClass: 1", device(3, 1)),
        ("class: HID, subClass: 1, protocol: 2, level: 1", device(3, 1, 2, level: 1)),
        ("class: HID, subClass: 0, protocol: 255, level: 100", device(3, 0, 255, level: 100)),
    ])
    func devices(fields: String, expected: DeviceRule) {
        let text = SpecText(.host, "device: {matchDevice: [{\(fields)}]}")
        #expect(text.policy == text.empty { $0.devices = [expected] }, "\(text.result.diagnostics)")
    }

    @Test func everyDeviceClass() {
        let classes = [
            "AUDIO": 1, "COMMUNICATION-CDC": 2, "HID": 3, "PHYSICAL": 5, "IMAGE": 6, "PRINTER": 7, "MASS-STORAGE": 8,
            "HUB": 9, "CDC-DATA": 10, "SMART-CARD": 11, "CONTENT-SECURITY": 13, "VIDEO": 14, "PERSONAL-HEALTHCARE": 15,
            "AUDIO/VIDEO": 16, "BILLBOARD": 17, "TYPE-C-BRIDGE": 18, "BULK-DISPLAY": 19, "MCTP": 20, "I3C": 60,
            "DIAGNOSTIC": 220, "WIRELESS-CONTROLLER": 224, "MISCELLANEOUS": 239, "APPLICATION-SPECIFIC": 254,
            "VENDOR-SPECIFIC": 255,
        ]
        #expect(classes.count == 24)
        for (name, number) in classes {
            let text = SpecText(.host, "device: {matchDevice: [{class: \(name)}]}")
            #expect(text.policy?.devices == [Self.device(number)], "\(name)")
        }
    }

    @Test(arguments: [
        ("{}", "matchDevice[0].class is required"),
        ("{class: \"\"}", "matchDevice[0].class must be a USB class name, a number, or ALL"),
        ("{class: STORAGE}", "matchDevice[0].class must be a USB class name, a number, or ALL"),
        ("{class: \"256\"}", "matchDevice[0].class must be a USB class name, a number, or ALL"),
        ("{class: \"-1\"}", "matchDevice[0].class must be a USB class name, a number, or ALL"),
        ("{class: \"+1\"}", "matchDevice[0].class must be a USB class name, a number, or ALL"),
        ("{class: \"0x+1\"}", "matchDevice[0].class must be a USB class name, a number, or ALL"),
        ("{class: \"0x\"}", "matchDevice[0].class must be a USB class name, a number, or ALL"),
        ("{class: 010}", "matchDevice[0].class must be a USB class name, a number, or ALL"),
        ("{class: [ALL]}", "matchDevice[0].class must be a USB class name, a number, or ALL"),
        ("{class: ALL, level: 0}", "matchDevice[0].level must be between 1 and 2147483647, not 0"),
        ("{class: ALL, subClass: 256}", "matchDevice[0].subClass must be between 0 and 255, not 256"),
        ("{class: ALL, protocol: -1}", "matchDevice[0].protocol must be between 0 and 255, not -1"),
    ])
    func devicesRefuse(item: String, problem: String) {
        let errors = SpecText(.host, "device: {matchDevice: [\(item)]}").errors.map {
            $0.split(separator: " ", maxSplits: 1)[1]
        }
        #expect(errors == ["spec.device.\(problem)"])
    }
}

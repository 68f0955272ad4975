import PolicyModel
import Testing

/// Every field of every kind, given a value of another type, and every mapping, given a field that it has not.
@Suite("Types of all fields")
struct FieldTypeTests {
    enum FieldType: Sendable {
        case string, integer, boolean, list, mapping

        /// Values that the type refuses, and what is said about them.
        var wrong: [(value: String, message: String)] {
            switch self {
            case .string:
                [
                    ("5", "must be a string: quote 5"), ("1.5", "must be a string: quote 1.5"),
                    ("yes", "must be a string: quote yes"), ("[a]", "must be a string, not a list"),
                    ("{a: b}", "must be a string, not a mapping"),
                ]
            case .integer:
                [
                    ("word", "must be an integer, not a string"), ("\"5\"", "must be an integer, not a string"),
                    ("1.5", "must be an integer, not a number"), ("true", "must be an integer, not a boolean"),
                    ("010", "must be an integer without leading zeros, not 010"),
                    ("[5]", "must be an integer, not a list"), ("{a: 5}", "must be an integer, not a mapping"),
                ]
            case .boolean:
                [
                    ("\"true\"", "must be true or false, not a string"), ("1", "must be true or false, not a number"),
                    ("word", "must be true or false, not a string"), ("[true]", "must be true or false, not a list"),
                    ("{a: true}", "must be true or false, not a mapping"),
                ]
            case .list:
                [
                    ("word", "must be a list, not a string"), ("5", "must be a list, not a number"),
                    ("{a: b}", "must be a list, not a mapping"),
                ]
            case .mapping:
                [
                    ("word", "must be a mapping, not a string"), ("false", "must be a mapping, not a boolean"),
                    ("[a]", "must be a mapping, not a list"),
                ]
            }
        }
    }

    /// A field: the kinds that have it, a spec with `@` in place of its value, its name, its type.
    struct Field: Sendable, CustomStringConvertible {
        let kinds: [PolicyKind]
        let spec: String
        let name: String
        let type: FieldType
        var description: String { name }

        init(_ spec: String, _ name: String, _ type: FieldType, _ kinds: [PolicyKind] = SpecText.ruleKinds) {
            self.kinds = kinds
            self.spec = spec
            self.name = name
            self.type = type
        }
    }

    /// severity, tags, message and perhaps action of a level.
    static func common(_ open: String, _ close: String, _ name: String, _ kinds: [PolicyKind], action: Bool = true)
        -> [Field]
    {
        var fields: [(String, String, FieldType)] = [
            ("severity: @", "severity", .integer), ("tags: @", "tags", .list), ("tags: [@]", "tags[0]", .string),
            ("message: @", "message", .string),
        ]
        if action { fields.append(("action: @", "action", .string)) }
        return fields.map { Field(open + $0.0 + close, "\(name).\($0.1)", $0.2, kinds) }
    }

    /// The fields of a list's items, all of which but those in `required` may be absent.
    static func items(
        _ section: String, _ list: String, required: String, _ fields: [(String, FieldType)],
        _ kinds: [PolicyKind] = SpecText.ruleKinds, action: Bool = true
    ) -> [Field] {
        let name = "spec.\(section).\(list)"
        let open = "\(section): {\(list): [{\(required), "
        let close = "}]}"
        var result = [
            Field("\(section): {\(list): @}", name, .list, kinds),
            Field("\(section): {\(list): [@]}", "\(name)[0]", .mapping, kinds),
        ]
        result += fields.map { Field("\(open)\($0.0): @\(close)", "\(name)[0].\($0.0)", $0.1, kinds) }
        if fields.contains(where: { $0.0 == "fromSource" }) {
            result.append(Field("\(open)fromSource: [@]\(close)", "\(name)[0].fromSource[0]", .mapping, kinds))
            result.append(
                Field("\(open)fromSource: [{path: @}]\(close)", "\(name)[0].fromSource[0].path", .string, kinds))
        }
        return result + common(open, close, "\(name)[0]", kinds, action: action)
    }

    static let sections: [Field] =
        ["process", "file", "network", "capabilities"].flatMap {
            [Field("\($0): @", "spec.\($0)", .mapping)] + common("\($0): {", "}", "spec.\($0)", SpecText.ruleKinds)
        } + [Field("syscalls: @", "spec.syscalls", .mapping)]
        + common("syscalls: {", "}", "spec.syscalls", SpecText.ruleKinds, action: false)
        + [Field("device: @", "spec.device", .mapping, [.host])]
        + common("device: {", "}", "spec.device", [.host])
        + common("", "", "spec", PolicyKind.allCases)
        + [Field("apparmor: @", "spec.apparmor", .string)]

    static let processAndFile: [Field] =
        items(
            "process", "matchPaths", required: "path: /a",
            [
                ("execname", .string), ("allowedArgs", .list), ("ownerOnly", .boolean), ("pts", .boolean),
                ("fromSource", .list),
            ])
        + [
            Field("process: {matchPaths: [{path: @}]}", "spec.process.matchPaths[0].path", .string),
            Field(
                "process: {matchPaths: [{path: /a, allowedArgs: [@]}]}", "spec.process.matchPaths[0].allowedArgs[0]",
                .string),
            Field("process: {matchDirectories: [{dir: @}]}", "spec.process.matchDirectories[0].dir", .string),
            Field("process: {matchPatterns: [{pattern: @}]}", "spec.process.matchPatterns[0].pattern", .string),
            Field("file: {matchPaths: [{path: @}]}", "spec.file.matchPaths[0].path", .string),
            Field("file: {matchDirectories: [{dir: @}]}", "spec.file.matchDirectories[0].dir", .string),
            Field("file: {matchPatterns: [{pattern: @}]}", "spec.file.matchPatterns[0].pattern", .string),
        ]
        + items(
            "process", "matchDirectories", required: "dir: /a/",
            [("recursive", .boolean), ("ownerOnly", .boolean), ("pts", .boolean), ("fromSource", .list)])
        + items("process", "matchPatterns", required: "pattern: /a*", [("ownerOnly", .boolean)])
        + items(
            "file", "matchPaths", required: "path: /a",
            [("readOnly", .boolean), ("ownerOnly", .boolean), ("pts", .boolean), ("fromSource", .list)])
        + items(
            "file", "matchDirectories", required: "dir: /a/",
            [
                ("recursive", .boolean), ("readOnly", .boolean), ("ownerOnly", .boolean), ("pts", .boolean),
                ("fromSource", .list),
            ])
        + items("file", "matchPatterns", required: "pattern: /a*", [("readOnly", .boolean), ("ownerOnly", .boolean)])

    static let others: [Field] =
        items("network", "matchProtocols", required: "protocol: tcp", [("fromSource", .list)])
        + items("network", "matchProtocols", required: "protocol: tcp", [("pts", .boolean)], [.container, .cluster])
        + items("network", "matchDNSQueries", required: "domain: a.b", [("fromSource", .list)])
        + items("capabilities", "matchCapabilities", required: "capability: kill", [("fromSource", .list)])
        + items("syscalls", "matchSyscalls", required: "syscall: [read]", [("fromSource", .list)], action: false)
        + items(
            "syscalls", "matchPaths", required: "path: /a, syscall: [read]",
            [("recursive", .boolean), ("fromSource", .list)], action: false)
        + items(
            "device", "matchDevice", required: "class: ALL",
            [("subClass", .integer), ("protocol", .integer), ("level", .integer)], [.host])
        + [
            Field("network: {matchProtocols: [{protocol: @}]}", "spec.network.matchProtocols[0].protocol", .string),
            Field("network: {matchDNSQueries: [{domain: @}]}", "spec.network.matchDNSQueries[0].domain", .string),
            Field(
                "capabilities: {matchCapabilities: [{capability: @}]}",
                "spec.capabilities.matchCapabilities[0].capability", .string),
            Field(
                "syscalls: {matchSyscalls: [{syscall: [read, @]}]}", "spec.syscalls.matchSyscalls[0].syscall[1]",
                .string),
            Field(
                "syscalls: {matchPaths: [{path: @, syscall: [read]}]}", "spec.syscalls.matchPaths[0].path", .string),
            Field(
                "syscalls: {matchSyscalls: [{syscall: [read], fromSource: [{dir: @}]}]}",
                "spec.syscalls.matchSyscalls[0].fromSource[0].dir", .string),
            Field(
                "syscalls: {matchSyscalls: [{syscall: [read], fromSource: [{dir: /a/, recursive: @}]}]}",
                "spec.syscalls.matchSyscalls[0].fromSource[0].recursive", .boolean),
            Field("presets: @", "spec.presets", .list, [.container, .cluster]),
            Field("presets: [@]", "spec.presets[0]", .mapping, [.container, .cluster]),
            Field("presets: [{name: @}]", "spec.presets[0].name", .string, [.container, .cluster]),
            Field("presets: [{name: exec, action: @}]", "spec.presets[0].action", .string, [.container, .cluster]),
        ]

    static let networkPolicy: [Field] =
        [("ingress", "from"), ("egress", "to")].flatMap { list, peers in
            [
                ("\(list): @", "", FieldType.list), ("\(list): [@]", "[0]", .mapping),
                ("\(list): [{\(peers): @}]", "[0].\(peers)", .list),
                ("\(list): [{\(peers): [@]}]", "[0].\(peers)[0]", .mapping),
                ("\(list): [{\(peers): [{ipBlock: @}]}]", "[0].\(peers)[0].ipBlock", .mapping),
                ("\(list): [{\(peers): [{ipBlock: {cidr: @}}]}]", "[0].\(peers)[0].ipBlock.cidr", .string),
                ("\(list): [{iface: @}]", "[0].iface", .list), ("\(list): [{iface: [@]}]", "[0].iface[0]", .string),
                ("\(list): [{ports: @}]", "[0].ports", .list), ("\(list): [{ports: [@]}]", "[0].ports[0]", .mapping),
                ("\(list): [{ports: [{port: @}]}]", "[0].ports[0].port", .string),
                ("\(list): [{ports: [{port: \"1\", endPort: @}]}]", "[0].ports[0].endPort", .integer),
                ("\(list): [{ports: [{port: \"1\", protocol: @}]}]", "[0].ports[0].protocol", .string),
                ("\(list): [{limit: @}]", "[0].limit", .string), ("\(list): [{duration: @}]", "[0].duration", .string),
            ].map { Field($0.0, "spec.\(list)\($0.1)", $0.2, [.network]) }
                + common("\(list): [{", "}]", "spec.\(list)[0]", [.network])
        } + [
            Field("level: @", "spec.level", .string, [.network]),
            Field("nodeSelector: {}\nselector: @", "spec.selector", .mapping, [.network]),
        ]

    static let selectors: [Field] =
        [("selector", [.container, .network]), ("nodeSelector", [.host, .network])].flatMap {
            (name: String, kinds: [PolicyKind]) in
            [
                Field("\(name): @", "spec.\(name)", .mapping, kinds),
                Field("\(name): {matchLabels: @}", "spec.\(name).matchLabels", .mapping, kinds),
            ]
        }
        + [
            ("", FieldType.list), ("[0]", .mapping), ("[0].key", .string), ("[0].operator", .string),
            ("[0].values", .list), ("[0].values[0]", .string),
        ].map { place, type in
            let spec =
                switch place {
                case "": "@"
                case "[0]": "[@]"
                case "[0].key": "[{key: @, operator: In}]"
                case "[0].operator": "[{key: label, operator: @}]"
                case "[0].values": "[{key: label, operator: In, values: @}]"
                default: "[{key: label, operator: In, values: [@]}]"
                }
            return Field(
                "selector: {matchExpressions: \(spec)}", "spec.selector.matchExpressions\(place)", type,
                [.container, .cluster])
        }

    @Test(arguments: sections + processAndFile + others + networkPolicy + selectors)
    func aValueOfAnotherTypeIsRefusedAtItsPlace(field: Field) throws {
        for kind in field.kinds {
            let template = SpecText(kind, field.spec).document
            let before = try #require(template.split(separator: "@", maxSplits: 1).first, "no @ in \(field.spec)")
            let lines = before.split(separator: "\n", omittingEmptySubsequences: false)
            for (value, message) in field.type.wrong {
                let text = SpecText(kind, field.spec.replacing("@", with: value))
                let expected = "\(lines.count):\((lines.last?.count ?? 0) + 1): \(field.name) \(message)"
                #expect(text.errors.contains(expected), "\(kind.rawValue) \(text.spec): \(text.errors)")
                #expect(text.policy == nil)
            }
        }
    }

    /// Specs with `@` where a mapping could have a further field, and the mapping's name.
    @Test(arguments: [
        ("@", "spec"), ("process: {@}", "spec.process"), ("file: {@}", "spec.file"), ("network: {@}", "spec.network"),
        ("capabilities: {@}", "spec.capabilities"), ("syscalls: {@}", "spec.syscalls"),
        ("process: {matchPaths: [{path: /a, @}]}", "spec.process.matchPaths[0]"),
        ("process: {matchDirectories: [{dir: /a/, @}]}", "spec.process.matchDirectories[0]"),
        ("process: {matchPatterns: [{pattern: /a*, @}]}", "spec.process.matchPatterns[0]"),
        (
            "process: {matchPaths: [{path: /a, fromSource: [{path: /b, @}]}]}",
            "spec.process.matchPaths[0].fromSource[0]"
        ),
        ("file: {matchPaths: [{path: /a, @}]}", "spec.file.matchPaths[0]"),
        ("file: {matchDirectories: [{dir: /a/, @}]}", "spec.file.matchDirectories[0]"),
        ("file: {matchPatterns: [{pattern: /a*, @}]}", "spec.file.matchPatterns[0]"),
        ("network: {matchProtocols: [{protocol: tcp, @}]}", "spec.network.matchProtocols[0]"),
        ("network: {matchDNSQueries: [{domain: a.b, @}]}", "spec.network.matchDNSQueries[0]"),
        ("capabilities: {matchCapabilities: [{capability: kill, @}]}", "spec.capabilities.matchCapabilities[0]"),
        ("syscalls: {matchSyscalls: [{syscall: [read], @}]}", "spec.syscalls.matchSyscalls[0]"),
        ("syscalls: {matchPaths: [{path: /a, syscall: [read], @}]}", "spec.syscalls.matchPaths[0]"),
        (
            "syscalls: {matchPaths: [{path: /a, syscall: [read], fromSource: [{dir: /b/, @}]}]}",
            "spec.syscalls.matchPaths[0].fromSource[0]"
        ),
    ])
    func anUnknownSiblingIsRefusedAtItsPlace(spec: String, name: String) {
        for kind in SpecText.ruleKinds { Self.expectUnknown(kind, spec, name) }
    }

    @Test(arguments: [
        (PolicyKind.host, "device: {@}", "spec.device"),
        (.host, "device: {matchDevice: [{class: ALL, @}]}", "spec.device.matchDevice[0]"),
        (.host, "nodeSelector: {matchLabels: {a: b}, @}", "spec.nodeSelector"),
        (.container, "selector: {@}", "spec.selector"), (.cluster, "selector: {@}", "spec.selector"),
        (
            .container, "selector: {matchExpressions: [{key: label, operator: In, @}]}",
            "spec.selector.matchExpressions[0]"
        ),
        (.cluster, "presets: [{name: exec, @}]", "spec.presets[0]"), (.network, "@", "spec"),
        (.network, "nodeSelector: {@}", "spec.nodeSelector"), (.network, "ingress: [{@}]", "spec.ingress[0]"),
        (.network, "egress: [{@}]", "spec.egress[0]"),
        (.network, "ingress: [{from: [{@}]}]", "spec.ingress[0].from[0]"),
        (.network, "egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, @}}]}]", "spec.egress[0].to[0].ipBlock"),
        (.network, "ingress: [{ports: [{port: ssh, @}]}]", "spec.ingress[0].ports[0]"),
    ])
    func anUnknownSiblingOfOneKindIsRefused(kind: PolicyKind, spec: String, name: String) {
        Self.expectUnknown(kind, spec, name)
    }

    private static func expectUnknown(_ kind: PolicyKind, _ spec: String, _ name: String) {
        let lines = SpecText(kind, spec).document.prefix { $0 != "@" }.split(
            separator: "\n", omittingEmptySubsequences: false)
        let text = SpecText(kind, spec.replacing("@", with: "qqqqqqqq: 1"))
        let expected = "\(lines.count):\((lines.last?.count ?? 0) + 1): unknown field 'qqqqqqqq' in \(name)"
        #expect(text.errors.contains(expected), "\(kind.rawValue) \(spec): \(text.errors)")
    }

    /// Fields that another kind or list has, and this one has not (sections 1 and 3 of the language).
    @Test(arguments: [
        (PolicyKind.host, "presets: []", "presets"), (.host, "selector: {}", "selector"),
        (.container, "device: {}", "device"),
        (.cluster, "device: {}", "device"), (.container, "nodeSelector: {}", "nodeSelector"),
        (.cluster, "nodeSelector: {}", "nodeSelector"), (.cluster, "selector: {matchLabels: {a: b}}", "matchLabels"),
        (.container, "ingress: []", "ingress"), (.host, "level: pod", "level"), (.network, "process: {}", "process"),
        (.network, "file: {}", "file"), (.network, "network: {}", "network"),
        (.network, "capabilities: {}", "capabilities"),
        (.network, "syscalls: {}", "syscalls"), (.network, "apparmor: a", "apparmor"),
        (.host, "network: {matchProtocols: [{protocol: tcp, pts: true}]}", "pts"),
        (.container, "network: {matchDNSQueries: [{domain: a.b, pts: true}]}", "pts"),
        (.container, "process: {matchPatterns: [{pattern: /a*, pts: true}]}", "pts"),
        (.container, "process: {matchPatterns: [{pattern: /a*, fromSource: []}]}", "fromSource"),
        (.container, "process: {matchPaths: [{path: /a, readOnly: true}]}", "readOnly"),
        (.container, "process: {matchDirectories: [{dir: /a/, allowedArgs: []}]}", "allowedArgs"),
        (.container, "file: {matchPaths: [{path: /a, execname: b}]}", "execname"),
        (.container, "file: {matchPaths: [{path: /a, allowedArgs: []}]}", "allowedArgs"),
        (.container, "file: {matchPatterns: [{pattern: /a*, pts: true}]}", "pts"),
        (.container, "process: {matchPaths: [{path: /a, fromSource: [{dir: /b/}]}]}", "dir"),
        (.container, "syscalls: {action: Audit}", "action"),
        (.container, "syscalls: {matchPaths: [{path: /a, syscall: [read], action: Audit}]}", "action"),
        (.container, "syscalls: {matchSyscalls: [{syscall: [read], path: /a}]}", "path"),
        (.container, "presets: [{name: exec, severity: 1}]", "severity"),
        (.container, "presets: [{name: exec, message: m}]", "message"),
        (.container, "process: {matchBinaries: []}", "matchBinaries"),
        (.network, "ingress: [{to: []}]", "to"), (.network, "egress: [{from: []}]", "from"),
        (.network, "nodeSelector: {matchExpressions: []}", "matchExpressions"),
    ])
    func aFieldOfAnotherPlaceIsRefused(kind: PolicyKind, spec: String, field: String) {
        let errors = SpecText(kind, spec).errors
        #expect(errors.contains { $0.contains("unknown field '\(field)' in spec") }, "\(spec): \(errors)")
    }
}

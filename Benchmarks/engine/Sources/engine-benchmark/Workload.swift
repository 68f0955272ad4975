import PolicyEngine
import PolicyModel

/// Policies of a given size, and operations whose answer takes a known way through the engine.
struct Workload {
    /// The ways a verdict can go.
    enum Way: String, CaseIterable {
        case exact, directory, miss, pattern, source, execname, deep
    }

    private(set) var policies: [Policy]
    private let count: Int

    /// Rules in the mix of a large cluster: mostly exact paths, some directories, one in ten a pattern, one in twenty
    /// bound to a source.
    init(ruleCount: Int) {
        count = ruleCount
        var policy = Policy(kind: .host, name: "benchmark", position: Self.position)
        for index in 0..<ruleCount {
            let (subject, sources) = Self.subject(index)
            let action: RuleAction = index % 7 == 0 ? .audit : .block
            var file = FileRule(subject: subject, attributes: RuleAttributes(action: action), position: Self.position)
            file.sources = sources
            policy.file.append(file)
        }
        for index in 0..<(ruleCount / 10) {
            policy.process.append(
                ProcessRule(
                    subject: .execname("tool-\(index)"), attributes: RuleAttributes(action: .block),
                    position: Self.position))
        }
        policies = [policy]
    }

    /// `patternCount` patterns that all begin with `**` or share one directory, with different ends and middles.
    init(patternCount: Int) {
        count = patternCount
        var policy = Policy(kind: .host, name: "patterns", position: Self.position)
        for index in 0..<patternCount {
            let text: String
            switch index % 4 {
            case 0: text = "/**/*.ext\(index)"
            case 1: text = "/srv/**/data-\(index)-*/*.db"
            case 2: text = "/srv/*/{cache,spool}\(index)/**"
            default: text = "/**/secret[0-9]-\(index)*"
            }
            policy.file.append(
                FileRule(
                    subject: .pattern(text), attributes: RuleAttributes(action: .block), position: Self.position))
        }
        policies = [policy]
    }

    /// Patterns that share nothing and all stay alive over a path of `a`: nothing costs more.
    init(hostileCount: Int) {
        count = hostileCount
        var policy = Policy(kind: .host, name: "hostile", position: Self.position)
        for index in 0..<hostileCount {
            let set = "bcdefghijklmno".enumerated().filter { index >> $0.offset & 1 == 1 }.map(\.element)
            policy.file.append(
                FileRule(
                    subject: .pattern("/**[a\(String(set))]" + String(repeating: "?", count: 60) + "x"),
                    attributes: RuleAttributes(action: .block), position: Self.position))
        }
        policies = [policy]
    }

    /// A few rules of each other category, with and without sources, and the presets.
    mutating func addOtherCategories() {
        let position = Self.position
        var policy = Policy(kind: .host, name: "others", position: position)
        for action in [RuleAction.block, .audit] {
            let attributes = RuleAttributes(action: action)
            var tcp = ProtocolRule(name: .tcp, attributes: attributes, position: position)
            tcp.sources = ["/usr/bin/agent-19"]
            tcp.terminal = false
            policy.protocols += [tcp, ProtocolRule(name: .raw, attributes: attributes, position: position)]
            var domain = DNSRule(domain: "example.com", attributes: attributes, position: position)
            domain.sources = action == .audit ? ["/usr/bin/agent-19"] : []
            policy.dns.append(domain)
            policy.capabilities.append(
                CapabilityRule(capability: 13, name: "net_raw", attributes: attributes, position: position))
            policy.presets.append(
                PresetRule(name: action == .audit ? .protectEnv : .exec, attributes: attributes, position: position))
        }
        var call = SyscallRule(
            syscalls: ["unlink"], path: "/etc/", attributes: RuleAttributes(action: .audit), position: position)
        call.recursive = true
        call.sources = [.init(path: "/usr/", recursive: true)]
        policy.syscalls.append(call)
        policies.append(policy)
    }

    private static let position = SourcePosition(file: "benchmark", line: 1, column: 1)

    private static func subject(_ index: Int) -> (PathSubject, [String]) {
        switch index % 20 {
        case 0..<12: (.path("/opt/application-\(index / 20)/lib/module-\(index).so"), [])
        case 12..<15: (.directory("/var/lib/service-\(index)/data/", recursive: true), [])
        case 15, 16: (.directory("/etc/component-\(index)/", recursive: false), [])
        case 17: (.pattern("/srv/tenant-\(index)/*/key-*.pem"), [])
        case 18: (.pattern("/**/private-\(index)-*.log"), [])
        default: (.path("/run/secret-\(index)"), ["/usr/bin/agent-\(index)", "/usr/sbin/agent-\(index)"])
        }
    }

    /// A path for which the rules of `index`'s score answer this way.
    func path(_ way: Way, _ index: Int) -> String {
        let base = index % max(count / 20, 1) * 20
        return switch way {
        case .exact: "/opt/application-\(base / 20)/lib/module-\(base + 1).so"
        case .directory: "/var/lib/service-\(base + 12)/data/tables/segment/000001.db"
        case .miss: "/usr/lib/x86_64-linux-gnu/libexample-\(index).so.1"
        case .pattern: "/srv/tenant-\(base + 17)/blue/key-first.pem"
        case .source: "/run/secret-\(base + 19)"
        case .execname: "/usr/local/bin/tool-\(base / 20)"
        case .deep: "/" + String(repeating: "abcdefg/", count: 500) + "x"
        }
    }
}

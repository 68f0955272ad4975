import ArgumentParser
import CertificateAuthority
import ClientSupport
import Foundation
import Glibc
import RPCTransport

/// `portcullis certs`
struct CertsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "certs",
        abstract: "Makes a private authority, and the certificates by which agents, relays and people know each other.",
        subcommands: [CertsInit.self, CertsIssue.self, CertsRotate.self])
}

/// The folder of all three.
struct AuthorityOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Folder of the authority and its certificates.", valueName: "path"))
    var folder = "/etc/portcullis/tls"

    var authority: AuthorityFolder { AuthorityFolder(folder) }

    /// Runs something whose problems are one line each.
    func run<Result>(_ body: (AuthorityFolder) throws -> Result) throws -> Result {
        do { return try body(authority) } catch let problem as CredentialProblem {
            throw ToolFailure(problem.description)
        } catch { throw ToolFailure("\(folder): \(error)") }
    }
}

struct CertsInit: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Makes an authority: ca.crt, and ca.key, which only root reads.")

    @OptionGroup var options: AuthorityOptions
    @OptionGroup var output: OutputOptions
    @Option(help: ArgumentHelp("Name of the authority, in every certificate.", valueName: "name"))
    var trustDomain: String
    @Option(help: ArgumentHelp("Days until its certificate ends.", valueName: "number"))
    var days = 365

    func validate() throws {
        guard (1...3650).contains(days) else { throw ValidationError("--days must be between 1 and 3650") }
    }

    func run() throws {
        let paths = try options.run {
            try $0.create(trustDomain: trustDomain, lifetime: TimeInterval(days) * 24 * 3600)
        }
        try ChangeReport(messages: paths).write(output)
    }
}

struct CertsIssue: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "issue", abstract: "Issues a certificate and its key.",
        discussion: "Roles: \(PeerRole.allCases.filter { $0 != .local }.map(\.rawValue).joined(separator: ", ")).")

    @OptionGroup var options: AuthorityOptions
    @OptionGroup var output: OutputOptions
    @Option(help: ArgumentHelp("What its holder is.", valueName: "role"))
    var role: String
    @Option(help: ArgumentHelp("Its holder's name: of an agent, the node's.", valueName: "name"))
    var name: String
    @Option(help: ArgumentHelp("Name of the two files; otherwise ROLE-NAME.", valueName: "name"))
    var file: String?
    @Option(help: ArgumentHelp("Host name, for clients that compare it; repeatable.", valueName: "name"))
    var dns: [String] = []
    @Option(help: ArgumentHelp("Address, likewise.", valueName: "address"))
    var ip: [String] = []
    @Option(help: ArgumentHelp("Hours until it ends.", valueName: "number"))
    var hours = 24

    func validate() throws {
        guard (1...8760).contains(hours) else { throw ValidationError("--hours must be between 1 and 8760") }
        guard PeerRole(rawValue: role) != nil, role != PeerRole.local.rawValue else {
            throw ValidationError("no role '\(role)'")
        }
        for address in ip where Self.bytes(address) == nil {
            throw ValidationError("'\(address)' is no address")
        }
    }

    func run() throws {
        let (paths, end) = try options.run { folder in
            let domain = try folder.authority().trustDomain
            guard let role = PeerRole(rawValue: role),
                let identity = PeerIdentity(trustDomain: domain, role: role, name: name)
            else { throw CredentialProblem(description: "'\(name)' is no name: letters, digits, '.', '-' and '_'") }
            let request = CertificateAuthority.Request(
                identity: identity, dnsNames: dns, addresses: ip.compactMap(Self.bytes),
                lifetime: TimeInterval(hours) * 3600)
            return try folder.issue(request, as: file ?? "\(role.rawValue)-\(name)")
        }
        try ChangeReport(messages: paths + ["ends \(end.formatted(.iso8601))"]).write(output)
    }

    /// An address' four or sixteen bytes.
    private static func bytes(_ text: String) -> [UInt8]? {
        var four = in_addr()
        if inet_pton(AF_INET, text, &four) == 1 { return withUnsafeBytes(of: &four) { Array($0) } }
        var six = in6_addr()
        if inet_pton(AF_INET6, text, &six) == 1 { return withUnsafeBytes(of: &six) { Array($0) } }
        return nil
    }
}

struct CertsRotate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate", abstract: "Issues certificates again, with new keys.",
        discussion: """
            Agents and relays take them up within a minute, and connections stay. With --authority the authority gets a new key; \
            the new ca.crt trusts both, and belongs on every machine before certificates are rotated.
            """)

    @OptionGroup var options: AuthorityOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "Names of the files, without .crt; all in the folder when there is none.")
    var names: [String] = []
    @Flag(help: "Only those of whose time half has gone by.")
    var due = false
    @Flag(help: "Another key for the authority itself.")
    var authority = false
    @Option(help: ArgumentHelp("Days until the authority's new certificate ends.", valueName: "number"))
    var days = 365

    func run() throws {
        let lines = try options.run { folder in
            authority
                ? try folder.rotateAuthority(lifetime: TimeInterval(days) * 24 * 3600)
                : try folder.rotate(names, elapsed: due ? 0.5 : 0)
        }
        try ChangeReport(messages: lines).write(output)
    }
}

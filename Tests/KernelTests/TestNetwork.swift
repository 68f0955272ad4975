import Foundation
import LinuxKernel

/// Two network namespaces joined by a cable: the agent's, and that of somebody else. Nothing in them reaches any other network.
final class TestNetwork: Place {
    /// An end of the cable.
    struct End: Sendable {
        let namespace: String
        let ipv4: String
        let ipv6: String
        let interface: String

        func address(_ version: Int) -> String { version == 4 ? ipv4 : ipv6 }

        /// Runs `body` on a thread in the namespace; sockets that it opens stay there.
        func run<Value>(_ body: () throws -> Value) throws -> Value {
            try NetworkNamespace(path: "/run/netns/\(namespace)").run { Result { try body() } }.get()
        }
    }

    /// Where the agent runs.
    let own: End
    /// Where it does not.
    let other: End

    var root: String { outside }
    let outside: String
    var agentDirectory: String { outside }
    var logDirectory: String { outside }
    var enter: [String] { ["/usr/bin/nsenter", "--net=/run/netns/\(own.namespace)"] + asUser }
    /// Command before one that is to run as somebody else.
    private let asUser: [String]
    let enterWaits = false
    let hasOwnNetwork = true
    var binaries: String { AgentUnderTest.binaries }

    /// - Parameter user: who runs agent and victims; `nil` for root.
    init(ownedBy user: String? = nil) throws {
        asUser = user.map { Scratch.become($0) } ?? []
        let id = UUID().uuidString.prefix(8).lowercased()
        own = End(namespace: "pc-a-\(id)", ipv4: "10.77.0.1", ipv6: "fd77::1", interface: "pc-own")
        other = End(namespace: "pc-b-\(id)", ipv4: "10.77.0.2", ipv6: "fd77::2", interface: "pc-other")
        outside = "/tmp/portcullis-agent-\(id)"
        try FileManager.default.createDirectory(atPath: outside, withIntermediateDirectories: true)
        for end in [own, other] { try Shell.check("ip", "netns", "add", end.namespace) }
        try Shell.check(
            "ip", "-n", own.namespace, "link", "add", own.interface, "type", "veth", "peer", "name", other.interface,
            "netns", other.namespace)
        for end in [own, other] {
            try Shell.check("ip", "-n", end.namespace, "addr", "add", end.ipv4 + "/24", "dev", end.interface)
            // Usable at once: no wait for a double of the address.
            try Shell.check("ip", "-n", end.namespace, "addr", "add", end.ipv6 + "/64", "dev", end.interface, "nodad")
            try Shell.check(
                "ip", "netns", "exec", end.namespace, "sh", "-c",
                "echo 0 >/proc/sys/net/ipv6/conf/\(end.interface)/accept_dad")
            for name in ["lo", end.interface] { try Shell.check("ip", "-n", end.namespace, "link", "set", name, "up") }
        }
        try awaitNeighbours()
        if let user { try Shell.check("chown", "-R", "\(user):\(user)", outside) }
    }

    /// The first packets are lost until both ends know each other.
    private func awaitNeighbours() throws {
        for (from, to) in [(own, other), (other, own)] {
            for version in [4, 6] {
                let receiver = try to.run { try TestSocket(version, SOCK_DGRAM) }
                try receiver.bind(version == 4 ? "0.0.0.0" : "::", 9)
                let sender = try from.run { try TestSocket(version, SOCK_DGRAM) }
                for attempt in 1... {
                    if sender.send(to: to.address(version), 9) == 0, receiver.receive(50) != nil { break }
                    if attempt == 100 { throw ScratchError(text: "no packet arrives in a test network") }
                }
            }
        }
    }

    deinit {
        for end in [own, other] { _ = Shell.run("ip", "netns", "del", end.namespace) }
        try? FileManager.default.removeItem(atPath: outside)
    }

    /// Runs nft(8) where the agent runs.
    @discardableResult func nft(_ arguments: String...) throws -> String {
        let result = Shell.run(enter + ["nft"] + arguments)
        if result.status != 0 { throw ScratchError(text: "nft \(arguments): \(result.error)") }
        return result.output
    }

    var tables: String { (try? nft("list", "tables")) ?? "?" }
}

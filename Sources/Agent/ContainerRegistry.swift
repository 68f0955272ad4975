import AgentCore
import ControlJSON
import ControlProtocol
import Glibc
import Telemetry
import Workloads

/// Who containers are, by number: those that are alive, and for a while those that have ended, as alerts of them may still be on their
/// way. The living ones are kept on disk, so that a front that replaces another knows them.
final class ContainerRegistry {
    /// What is kept of a container.
    struct Entry: Codable {
        var identity: ContainerIdentity
        var origin: ContainerOrigin
        /// The guardian's number for its user namespace; 0 for the agent's own.
        var namespace: UInt64 = 0
    }

    private let directory: String
    private var known: [UInt64: Entry] = [:]
    private var ended: [UInt64] = []
    private static let endedLimit = 256

    /// - Parameter directory: `<state directory>/containers`, owned by the front.
    init(directory: String) { self.directory = directory }

    private func path(_ number: UInt64) -> String { "\(directory)/\(number).json" }

    /// Takes a container in, or what was found out about it since. Numbers are without the mark that makes a workload of them.
    func put(_ entry: Entry, as number: UInt64) throws {
        let text = String(decoding: try ControlCoding.encode(entry), as: UTF8.self)
        // It need not outlive the machine.
        try SavedFile.write(text, to: path(number), isLasting: false)
        known[number] = entry
    }

    /// A container is no more.
    func end(_ number: UInt64) {
        unlink(path(number))
        guard known[number] != nil else { return }
        ended.append(number)
        if ended.count > Self.endedLimit { known[ended.removeFirst()] = nil }
    }

    /// Reads what a front before has kept.
    func load() -> [UInt64: Entry] {
        for name in SavedFile.names(in: directory) {
            guard name.hasSuffix(".json"), let number = UInt64(name.dropLast(5)),
                let bytes = SavedFile.contents(of: path(number)),
                let entry = try? ControlCoding.decode(Entry.self, bytes)
            else { continue }
            known[number] = entry
        }
        return known
    }

    /// Forgets all.
    func clear() {
        for name in SavedFile.names(in: directory) { unlink("\(directory)/\(name)") }
        known = [:]
    }

    /// A container as its alerts show it; `nil` for the host.
    func workload(_ number: UInt32) -> AlertWorkload? {
        guard number != 0 else { return nil }
        let identity = known[UInt64(number)]?.identity ?? ContainerIdentity(id: "", name: "unknown")
        return AlertWorkload(
            namespaceName: identity.namespace, podName: identity.podName.isEmpty ? identity.name : identity.podName,
            labels: identity.labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ","),
            containerID: identity.id, containerName: identity.name, containerImage: identity.image,
            // Not the namespaces' numbers, but as different from each other.
            throttleKey: ThrottleKey(pidNamespace: number, mountNamespace: number))
    }
}

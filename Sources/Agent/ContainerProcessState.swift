import ControlJSON
import ControlProtocol
import Workloads

/// What a container runtime says of the process whose listener it sends (OCI runtime specification, `containerProcessState`).
struct ContainerProcessState: Decodable, Equatable {
    /// The container's state.
    struct State: Decodable, Equatable {
        var id: String
        /// `creating` of a new container, `running` of a further process in one.
        var status: String?
        /// The container's first process.
        var pid: Int32?
        var annotations: [String: String]?
    }

    /// What each descriptor is that came along.
    var fds: [String]
    /// The process.
    var pid: Int32
    /// `listenerMetadata` of the profile.
    var metadata: String?
    var state: State

    /// The one descriptor there is.
    static let listenerName = "seccompFd"
    /// Bytes at most.
    static let limit = 1 << 20

    /// Where the listener is among the descriptors.
    var listenerIndex: Int? { fds.firstIndex(of: Self.listenerName) }

    /// Reads a whole document; `nil` when it is none, or not all of one yet.
    init?(_ bytes: [UInt8]) {
        guard bytes.contains(UInt8(ascii: "}")), let state = try? ControlCoding.decode(Self.self, bytes),
            state.pid > 0, !state.state.id.isEmpty
        else { return nil }
        self = state
    }

    /// Who the container is: by the profile's metadata, `name=web,image=nginx,namespace=default,pod=web-1,label.app=web`, otherwise by what
    /// Kubernetes' and other engines' annotations say.
    var identity: ContainerIdentity {
        let notes = state.annotations ?? [:]
        var words: [String: String] = [:]
        var labels: [String: String] = [:]
        for item in (metadata ?? "").split(separator: ",") {
            let parts = item.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { continue }
            if parts[0].hasPrefix("label.") { labels[String(parts[0].dropFirst(6))] = parts[1] }
            words[parts[0]] = parts[1]
        }
        func first(_ word: String, _ annotations: String...) -> String? {
            words[word] ?? annotations.lazy.compactMap { notes[$0] }.first
        }
        return ContainerIdentity(
            id: state.id,
            name: first(
                "name", "io.kubernetes.cri.container-name", "io.kubernetes.container.name",
                "io.kubernetes.cri-o.ContainerName") ?? state.id,
            image: first("image", "io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName") ?? "",
            namespace: first(
                "namespace", "io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace")
                ?? ContainerIdentity.plainNamespace,
            podName: first("pod", "io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name") ?? "", labels: labels)
    }
}

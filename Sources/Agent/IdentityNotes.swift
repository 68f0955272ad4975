import ControlJSON
import Workloads

/// What several sources say of who a container is. What a more trusted one has said is not taken back by a less trusted one.
struct IdentityNotes: Equatable {
    var name: String?
    var image: String?
    var namespace: String?
    var podName: String?
    /// The pod's sandbox, whose labels hold for all containers of the pod.
    var sandbox: String?
    var labels: [String: String] = [:]

    /// Nothing.
    init() {}

    /// Takes over what is not known yet.
    mutating func add(_ other: IdentityNotes) {
        name = name ?? other.name
        image = image ?? other.image
        namespace = namespace ?? other.namespace
        podName = podName ?? other.podName
        sandbox = sandbox ?? other.sandbox
        labels.merge(other.labels) { known, _ in known }
    }

    /// Who it is.
    func identity(id: String) -> ContainerIdentity {
        ContainerIdentity(
            id: id, name: name ?? id, image: image ?? "", namespace: namespace ?? ContainerIdentity.plainNamespace,
            podName: podName ?? "", labels: labels)
    }

    // MARK: - Sources

    /// `listenerMetadata` of a profile of ours: `name=web,image=nginx,namespace=default,pod=web-1,label.app=web`.
    init(metadata: String) {
        for item in metadata.split(separator: ",") {
            let parts = item.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { continue }
            switch parts[0] {
            case "name": name = parts[1]
            case "image": image = parts[1]
            case "namespace": namespace = parts[1]
            case "pod": podName = parts[1]
            case let key where key.hasPrefix("label."): labels[String(key.dropFirst(6))] = parts[1]
            default: break
            }
        }
    }

    /// Annotations of a configuration that was written for us, for containers without an engine.
    private static let prefix = "io.portcullis."

    /// Annotations: our own, those of containerd and CRI-O for Kubernetes, and podman's and nerdctl's.
    ///
    /// - Parameter bundle: the container's.
    init(annotations: [String: String], bundle: String) {
        func first(_ keys: String...) -> String? {
            keys.lazy.compactMap { annotations[$0] }.first { !$0.isEmpty }
        }
        name = first(
            Self.prefix + "name", "io.kubernetes.cri.container-name", "io.kubernetes.container.name",
            "io.kubernetes.cri-o.ContainerName",
            "nerdctl/name")
        image = first(
            Self.prefix + "image", "io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName",
            "io.kubernetes.cri-o.Image",
            "io.podman.annotations.image-name")
        namespace = first("io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace")
        podName = first("io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name")
        sandbox = first("io.kubernetes.cri.sandbox-id", "io.kubernetes.cri-o.SandboxID")
        for (key, value) in annotations where key.hasPrefix(Self.prefix + "label.") {
            labels[String(key.dropFirst(Self.prefix.count + 6))] = value
        }
        if Self.areLabels(annotations, bundle: bundle) {
            let engines = [Self.prefix, "io.containerd.", "nerdctl/"]
            labels.merge(annotations.filter { item in !engines.contains { item.key.hasPrefix($0) } }) { known, _ in
                known
            }
        }
        // CRI-O gives all labels as one JSON object.
        for key in ["io.kubernetes.cri-o.Labels", "nerdctl/labels"] {
            guard let text = annotations[key],
                let found = try? ControlCoding.decode([String: String].self, Array(text.utf8))
            else { continue }
            // Kubernetes' own, which say where and not what the container is.
            labels.merge(found.filter { !$0.key.hasPrefix("io.kubernetes.") }) { known, _ in known }
        }
    }

    /// Whether a container's labels are among its annotations: they are with clients of containerd (ctr, nerdctl), and neither with
    /// Kubernetes nor with Docker, whose namespace is `moby`.
    private static func areLabels(_ annotations: [String: String], bundle: String) -> Bool {
        let parts = bundle.split(separator: "/")
        return parts.dropLast(2).last == "io.containerd.runtime.v2.task" && parts.dropLast().last != "moby"
            && !annotations.keys.contains { $0.hasPrefix("io.kubernetes.") }
    }

    private struct PodmanContainer: Decodable {
        var id: String
        var names: [String]?
        var metadata: String?
    }

    private struct PodmanMetadata: Decodable {
        var imageName: String?
        var name: String?

        enum CodingKeys: String, CodingKey {
            case imageName = "image-name"
            case name
        }
    }

    /// podman's containers.json.
    init(podmanContainers bytes: [UInt8], id: String) {
        guard let all = try? ControlCoding.decode([PodmanContainer].self, bytes),
            let found = all.first(where: { $0.id == id })
        else { return }
        let metadata = found.metadata.flatMap {
            try? ControlCoding.decode(PodmanMetadata.self, Array($0.utf8))
        }
        name = metadata?.name ?? found.names?.first
        image = metadata?.imageName
    }

    private struct PodmanEvent: Decodable {
        var id: String
        var image: String?
        var name: String?
        var attributes: [String: String]?

        enum CodingKeys: String, CodingKey {
            case id = "ID"
            case image = "Image"
            case name = "Name"
            case attributes = "Attributes"
        }
    }

    /// podman's events.log, or its end: one JSON object a line.
    init(podmanEvents bytes: [UInt8], id: String) {
        let mark = Array("\"ID\":\"\(id)\"".utf8)
        for line in bytes.split(separator: UInt8(ascii: "\n")).reversed() where line.firstRange(of: mark) != nil {
            guard let event = try? ControlCoding.decode(PodmanEvent.self, Array(line)), event.id == id else { continue }
            name = name ?? event.name
            image = image ?? event.image
            // Of an execution or a check the attributes are its own.
            if let attributes = event.attributes { labels.merge(attributes) { known, _ in known } }
        }
    }

    private struct DockerContainer: Decodable {
        struct Config: Decodable {
            var image: String?
            var labels: [String: String]?

            enum CodingKeys: String, CodingKey {
                case image = "Image"
                case labels = "Labels"
            }
        }

        var name: String?
        var config: Config?

        enum CodingKeys: String, CodingKey {
            case name = "Name"
            case config = "Config"
        }
    }

    /// Docker's config.v2.json.
    init(dockerContainer bytes: [UInt8]) {
        guard let found = try? ControlCoding.decode(DockerContainer.self, bytes) else { return }
        name = found.name.map { String($0.drop { $0 == "/" }) }
        image = found.config?.image
        labels = found.config?.labels ?? [:]
    }
}

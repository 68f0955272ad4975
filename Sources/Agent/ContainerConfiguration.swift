import ControlJSON

/// What of a container's configuration (config.json of the OCI runtime specification) says who it is and how it is to be held.
struct ContainerConfiguration: Decodable, Equatable {
    struct Root: Decodable, Equatable {
        var path: String
    }

    struct Linux: Decodable, Equatable {
        struct Namespace: Decodable, Equatable {
            var type: String
            var path: String?
        }

        struct Seccomp: Decodable, Equatable {
            var listenerPath: String?
            var listenerMetadata: String?
        }

        var namespaces: [Namespace]?
        var seccomp: Seccomp?
    }

    var root: Root?
    var annotations: [String: String]?
    var linux: Linux?

    /// Reads one; `nil` when it is none.
    init?(_ bytes: some Sequence<UInt8>) {
        guard let configuration = try? ControlCoding.decode(Self.self, Array(bytes)) else { return nil }
        self = configuration
    }

    /// The root directory, as the host names it.
    ///
    /// - Parameter bundle: what a relative one is relative to.
    func rootPath(bundle: String) -> String? {
        guard let path = root?.path, !path.isEmpty else { return nil }
        return path.hasPrefix("/") ? path : bundle + "/" + path
    }
}

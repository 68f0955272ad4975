import ControlJSON

/// What a container runtime says of the process whose listener it sends (OCI runtime specification, `containerProcessState`).
struct ContainerProcessState: Decodable, Equatable {
    /// The container's state.
    struct State: Decodable, Equatable {
        var id: String
        /// `creating` of a new container, `running` of a further process in one.
        var status: String?
        /// The container's first process.
        var pid: Int32?
        /// The directory of its configuration.
        var bundle: String?
        var annotations: [String: String]?

        /// Reads the state that a hook gets; `nil` when it is none.
        init?(_ bytes: [UInt8]) {
            guard let state = try? ControlCoding.decode(Self.self, bytes), !state.id.isEmpty else { return nil }
            self = state
        }
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

    /// Who the container is: by the profile's metadata, otherwise by what engines' annotations say.
    var notes: IdentityNotes {
        var notes = IdentityNotes(metadata: metadata ?? "")
        notes.add(IdentityNotes(annotations: state.annotations ?? [:], bundle: state.bundle ?? ""))
        return notes
    }
}

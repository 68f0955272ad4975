import FoundationEssentials
import PolicyModel

/// An event of KubeArmor's PolicyService: which policy, what is to become of it, and its text as a document of ours.
struct PolicyEvent {
    /// Which policy.
    let key: PolicyStore.Key
    /// It is to go.
    let isDeletion: Bool
    /// The sender knows that it is there.
    let isModification: Bool
    /// The policy as a JSON document, which the loader reads like any other.
    let document: String

    /// Longest event: a policy document's limit, and what surrounds it.
    private static let limit = (1 << 20) + 4096

    /// Reads an event; `nil` when it is none, or names no policy.
    init?(_ text: String, kind: PolicyKind) {
        guard text.utf8.count <= Self.limit,
            let event = try? JSONDecoder().decode(Event.self, from: Data(text.utf8)),
            !event.object.metadata.name.isEmpty
        else { return nil }
        switch event.type {
        case "ADDED": (isDeletion, isModification) = (false, false)
        case "MODIFIED": (isDeletion, isModification) = (false, true)
        case "DELETED": (isDeletion, isModification) = (true, false)
        default: return nil
        }
        let metadata = event.object.metadata
        let namespace = kind == .container ? metadata.namespace ?? "" : ""
        key = PolicyStore.Key(kind: kind, namespace: namespace, name: metadata.name)
        let document = Document(
            apiVersion: "security.kubearmor.com/v1", kind: kind.rawValue,
            metadata: Metadata(name: metadata.name, namespace: namespace.isEmpty ? nil : namespace),
            spec: event.object.spec ?? .object([:]))
        let encoder = JSONEncoder()
        // A line each, so that messages name a place.
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        guard let bytes = try? encoder.encode(document) else { return nil }
        self.document = String(decoding: bytes, as: UTF8.self)
    }

    private struct Event: Decodable {
        var type: String
        var object: Object
    }

    private struct Object: Decodable {
        var metadata: Metadata
        var spec: AnyJSON?
    }

    /// Of Kubernetes' metadata what a policy is known by.
    private struct Metadata: Codable {
        var name: String
        var namespace: String?
    }

    private struct Document: Encodable {
        var apiVersion: String
        var kind: String
        var metadata: Metadata
        var spec: AnyJSON
    }
}

/// A JSON value of any kind.
enum AnyJSON: Codable, Equatable {
    case null
    case truth(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case list([AnyJSON])
    case object([String: AnyJSON])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .truth(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([AnyJSON].self) {
            self = .list(value)
        } else {
            self = .object(try container.decode([String: AnyJSON].self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .truth(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .list(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }
}

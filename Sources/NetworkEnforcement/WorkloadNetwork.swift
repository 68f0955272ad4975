import Glibc
import LinuxKernel
import PolicyEngine

/// Where the packets of a workload are, and how they are told from those of others there.
public enum WorkloadNetwork: Sendable, Equatable {
    /// A network of its own.
    case own
    /// The host's network.
    ///
    /// - Parameters:
    ///   - scope: how its packets are told from others'.
    ///   - name: what tells them, for people.
    ///   - directory: a cgroup that was made for it, and goes with it; empty for none.
    case shared(scope: WorkloadScope, name: String, directory: String)
    /// The host's network, where nothing tells its packets from others'.
    case indistinct

    /// One line for people.
    public var text: String {
        switch self {
        case .own: "a network of its own"
        case .shared(let scope, let name, _):
            switch scope {
            case .cgroup: "cgroup v2 \(name)"
            case .netClass(let id): "net_cls \(id >> 16):\(id & 0xFFFF) \(name)"
            case .users(let users):
                users.count == 1 ? "user \(users.lowerBound)" : "users \(users.lowerBound) to \(users.upperBound)"
            }
        case .indistinct: "nothing: it shares the host's network, and no cgroup or user is its own"
        }
    }

    // MARK: - Finding out

    /// Processes of a cgroup that are looked at before it is taken for somebody's own.
    private static let processLimit = 4096

    /// What tells the packets of a process that shares our network, and of all that it starts, if anything does.
    ///
    /// - Parameter features: what can be compared.
    static func sharing(_ process: Int32, _ features: NetworkFeatures) -> WorkloadNetwork {
        guard let cgroups = try? ProcessCgroups(of: process) else { return .indistinct }
        if features.contains(.cgroups), let path = cgroups.unified, let directory = own(.unified, path) {
            return .shared(
                scope: .cgroup(id: directory.id, level: directory.level), name: path, directory: "")
        }
        if features.contains(.classes), let path = cgroups.netClass, let directory = own(.netClass, path),
            let id = try? netClass(of: directory)
        {
            return .shared(scope: .netClass(id), name: path, directory: "")
        }
        if let users = users(of: process) { return .shared(scope: .users(users), name: "", directory: "") }
        return .indistinct
    }

    /// Puts a process that has started nothing yet into a cgroup of its own, below the one that it is in, so that whoever manages that one finds
    /// it there. Where there is no cgroup v2 that can be compared, below the root of net_cls.
    ///
    /// - Parameter number: of the tree that begins with the process.
    static func separating(_ process: Int32, tree number: UInt64, _ features: NetworkFeatures) -> WorkloadNetwork {
        guard let cgroups = try? ProcessCgroups(of: process) else { return .indistinct }
        let name = "portcullis-tree-\(number)"
        if features.contains(.cgroups), let path = cgroups.unified,
            let directory = moved(process, into: name, of: .unified, path)
        {
            return .shared(
                scope: .cgroup(id: directory.id, level: directory.level),
                name: (path == "/" ? "" : path) + "/" + name, directory: directory.path)
        }
        if features.contains(.classes), cgroups.netClass != nil,
            let directory = moved(process, into: name, of: .netClass, "/"), let id = try? netClass(of: directory)
        {
            return .shared(scope: .netClass(id), name: "/" + name, directory: directory.path)
        }
        return .indistinct
    }

    private static func moved(
        _ process: Int32, into name: String, of hierarchy: CgroupDirectory.Hierarchy, _ path: String
    ) -> CgroupDirectory? {
        guard let directory = try? CgroupDirectory(hierarchy, path).child(name) else { return nil }
        do { try directory.add(process) } catch {
            try? directory.remove()
            return nil
        }
        return directory
    }

    /// A cgroup in which are only processes that see other files than we do: nobody of the host's.
    private static func own(_ hierarchy: CgroupDirectory.Hierarchy, _ path: String) -> CgroupDirectory? {
        var ours = ObjectStatus()
        guard path != "/", let directory = try? CgroupDirectory(hierarchy, path),
            let processes = try? directory.processes(), processes.count <= processLimit,
            ProcFS.object(of: getpid(), "ns/mnt", into: &ours) == 0
        else { return nil }
        for process in processes {
            var theirs = ObjectStatus()
            // One that has ended meanwhile says nothing.
            if ProcFS.object(of: process, "ns/mnt", into: &theirs) == 0, theirs.isSameObject(as: ours) { return nil }
        }
        return directory
    }

    /// Ours begin with the letters PC; the directory's own number tells them apart.
    private static let firstClass: UInt32 = 0x5043_0000

    /// The class of a cgroup's sockets, which gets one if it has none.
    private static func netClass(of directory: CgroupDirectory) throws(KernelError) -> UInt32 {
        let present = try directory.netClass()
        if present != 0 { return present }
        let id = firstClass | UInt32(truncatingIfNeeded: directory.id) & 0xFFFF
        try directory.setNetClass(id)
        return id
    }

    /// The users of a user namespace that is not ours, in ours.
    private static func users(of process: Int32) -> ClosedRange<UInt32>? {
        guard let map = try? UserMap(of: process), let users = map.outside, map.isOther else { return nil }
        return users
    }

    // MARK: - Notes

    /// What a later worker has to know: words without blanks in them.
    public var note: String {
        switch self {
        case .own: return "own"
        case .indistinct: return "indistinct"
        case .shared(let scope, let name, let directory):
            let words =
                switch scope {
                case .cgroup(let id, let level): "cgroup \(id) \(level)"
                case .netClass(let id): "class \(id) 0"
                case .users(let users): "users \(users.lowerBound) \(users.upperBound)"
                }
            return words + " " + Self.hexadecimal(name) + " " + Self.hexadecimal(directory)
        }
    }

    /// Reads `note`; `nil` for anything that it does not make.
    public init?(note: some Collection<Substring>) {
        let words = Array(note)
        switch words.first {
        case "own": self = .own
        case "indistinct": self = .indistinct
        default:
            guard words.count == 5, let first = UInt64(words[1]), let second = UInt32(words[2]),
                let name = Self.text(words[3]), let directory = Self.text(words[4])
            else { return nil }
            let scope: WorkloadScope
            switch (words[0], UInt32(exactly: first)) {
            case ("cgroup", _): scope = .cgroup(id: first, level: second)
            case ("class", let id?): scope = .netClass(id)
            case ("users", let users?) where users <= second: scope = .users(users...second)
            default: return nil
            }
            self = .shared(scope: scope, name: name, directory: directory)
        }
    }

    private static func hexadecimal(_ text: String) -> String {
        "x" + text.utf8.map { String($0 >> 4, radix: 16) + String($0 & 0xF, radix: 16) }.joined()
    }

    private static func text(_ word: Substring) -> String? {
        let digits = word.utf8.dropFirst().map { UInt8(String(UnicodeScalar($0)), radix: 16) }
        guard word.first == "x", digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = digits[index], let low = digits[index + 1] else { return nil }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}

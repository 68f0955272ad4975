import Glibc
import LinuxKernel
import PlainJSON

/// Containers that run, by the files that runtimes keep of them while they do: runc (and whoever uses it: containerd, Docker, CRI-O, podman) has
/// `<root>/<id>/state.json`, crun `<root>/<id>/status`.
struct RunningContainers {
    /// A container, which its process's number and start time name for good.
    struct Found: Hashable {
        var id: String
        var process: Int32
        var startTime: UInt64
        /// The directory of its configuration.
        var bundle: String

        /// As its runtime would tell a hook.
        var state: [UInt8] {
            let (id, bundle) = (JSONText.quoted(id), JSONText.quoted(bundle))
            return Array(
                #"{"ociVersion":"1.0.2","id":\#(id),"status":"running","pid":\#(process),"bundle":\#(bundle)}"#.utf8)
        }

        /// Of runc's state; the label with the bundle's name comes behind those of others.
        init?(_ id: String, runc state: JSONText) {
            let prefix = "bundle="
            guard let process = state["init_process_pid"]?.unsigned,
                let label = state["config"]?["labels"]?.texts?.last(where: { $0.hasPrefix(prefix) })
            else { return nil }
            self.init(
                id: id, process: Int32(clamping: process), startTime: state["init_process_start"]?.unsigned ?? 0,
                bundle: String(label.dropFirst(prefix.count)))
        }

        /// Of crun's.
        init?(_ id: String, crun state: JSONText) {
            guard let process = state["pid"]?.unsigned, let bundle = state["bundle"]?.text else { return nil }
            self.init(
                id: id, process: Int32(clamping: process), startTime: state["process-start-time"]?.unsigned ?? 0,
                bundle: bundle)
        }

        init(id: String, process: Int32, startTime: UInt64, bundle: String) {
            (self.id, self.process, self.startTime, self.bundle) = (id, process, startTime, bundle)
        }
    }

    /// Where runtimes keep them, each a directory of containers; `*` is any directory.
    static let usualPlaces = [
        "/run/runc", "/run/crun", "/run/containerd/runc/*", "/run/docker/runtime-runc/*", "/run/user/*/runc",
        "/run/user/*/crun",
    ]

    let places: [String]
    /// Bytes of a state at most.
    private static let limit = 4 << 20

    /// Those that run now.
    func scan() -> [Found] {
        places.flatMap(Self.directories).flatMap { directory in
            Self.names(in: directory).compactMap { Self.read(directory, $0) }
        }
    }

    private static func directories(_ place: String) -> [String] {
        guard let star = place.firstIndex(of: "*") else { return [place] }
        let before = String(place[..<star])
        return names(in: before).flatMap { directories(before + $0 + place[place.index(after: star)...]) }
    }

    private static func names(in directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var result: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { result.append(name) }
        }
        return result.sorted()
    }

    private static func read(_ directory: String, _ id: String) -> Found? {
        let place = directory + "/" + id
        let found =
            if let text = try? PathOpening.read(place + "/state.json", limit: limit) {
                JSONText(parsing: text).flatMap { Found(id, runc: $0) }
            } else if let text = try? PathOpening.read(place + "/status", limit: limit) {
                JSONText(parsing: text).flatMap { Found(id, crun: $0) }
            } else {
                nil as Found?
            }
        guard let found, found.process > 1, found.bundle.hasPrefix("/"),
            let stat = try? ProcFS.stat(of: found.process), stat.startTime == found.startTime
        else { return nil }
        return found
    }
}

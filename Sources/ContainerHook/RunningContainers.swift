import Glibc
import LinuxKernel

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
            Array(
                #"{"ociVersion":"1.0.2","id":"\#(id)","status":"running","pid":\#(process),"bundle":"\#(bundle)"}"#.utf8
            )
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
        var found: Found?
        if let text = try? PathOpening.read(place + "/state.json", limit: limit) {
            guard let process = StateText.number("init_process_pid", in: text),
                let bundle = StateText.lastString(after: "bundle=", in: text)
            else { return nil }
            found = Found(
                id: id, process: Int32(clamping: process),
                startTime: StateText.number("init_process_start", in: text) ?? 0, bundle: bundle)
        } else if let text = try? PathOpening.read(place + "/status", limit: limit) {
            guard let process = StateText.number("pid", in: text), let bundle = StateText.string("bundle", in: text)
            else { return nil }
            found = Found(
                id: id, process: Int32(clamping: process),
                startTime: StateText.number("process-start-time", in: text) ?? 0, bundle: bundle)
        }
        guard let found, found.process > 1, found.bundle.hasPrefix("/"), isPlain(id), isPlain(found.bundle),
            let stat = try? ProcFS.stat(of: found.process), stat.startTime == found.startTime
        else { return nil }
        return found
    }

    /// Nothing in it has to be escaped in JSON.
    private static func isPlain(_ text: String) -> Bool {
        text.utf8.allSatisfy { $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
    }
}

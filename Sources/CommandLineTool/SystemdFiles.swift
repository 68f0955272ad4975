import ClientSupport
import Glibc

/// The files of a systemd unit below a root directory.
struct SystemdFiles {
    /// Empty for the running system.
    let root: String
    /// With its ending.
    let unit: String

    /// Where systemd looks, the first found wins (systemd.unit(5)).
    private static let folders = [
        "/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
        "/lib/systemd/system",
    ]
    static let name = "50-portcullis.conf"

    /// - Throws: for a name that is none of a service.
    init(root: String, unit: String) throws(ToolFailure) {
        let name = unit.hasSuffix(".service") ? unit : unit + ".service"
        guard !name.contains("/"), name != ".service", name.utf8.count < 256 else {
            throw ToolFailure("\(unit): is no name of a service")
        }
        guard !unit.contains(".") || unit.hasSuffix(".service") else {
            throw ToolFailure("\(unit): only services start a program")
        }
        self.root = root
        self.unit = name
    }

    /// Our drop-in.
    var dropIn: String { "\(dropInFolder)/\(Self.name)" }

    private var dropInFolder: String { "\(root)/etc/systemd/system/\(unit).d" }

    /// The unit, with its drop-ins but ours.
    func read() throws(ToolFailure) -> SystemdUnit {
        var result = SystemdUnit()
        // name@instance.service is name@.service with another %i.
        let template = unit.firstIndex(of: "@").map { unit[...$0] + ".service" }
        let names = [unit] + (template.map { [String($0)] } ?? [])
        let files = names.flatMap { name in Self.folders.map { "\(root)\($0)/\(name)" } }
        guard let file = files.first(where: { access($0, R_OK) == 0 }) else {
            throw ToolFailure("\(unit): there is no such unit below \(root.isEmpty ? "/" : root)")
        }
        result.read(try Self.text(file))
        // By name, whatever folder they are in; of two with one name the first folder's counts.
        var dropIns: [String: String] = [:]
        for name in names.reversed() {
            for folder in Self.folders.reversed() {
                let place = "\(root)\(folder)/\(name).d"
                for entry in Self.entries(place) where entry.hasSuffix(".conf") { dropIns[entry] = "\(place)/\(entry)" }
            }
        }
        for (name, path) in dropIns.sorted(by: { $0.key < $1.key }) where name != Self.name {
            result.read(try Self.text(path))
        }
        return result
    }

    /// Writes our drop-in.
    func write(_ text: String) throws(ToolFailure) {
        for folder in ["\(root)/etc/systemd/system", dropInFolder] where mkdir(folder, 0o755) != 0 && errno != EEXIST {
            throw .file(folder, errno)
        }
        let temporary = dropIn + ".new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else { throw .file(temporary, errno) }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count, rename(temporary, dropIn) == 0 else {
            let code = errno
            unlink(temporary)
            throw .file(dropIn, code)
        }
    }

    /// Removes it; false when there was none.
    func remove() throws(ToolFailure) -> Bool {
        guard unlink(dropIn) == 0 else {
            if errno == ENOENT { return false }
            throw .file(dropIn, errno)
        }
        rmdir(dropInFolder)
        return true
    }

    private static func text(_ path: String) throws(ToolFailure) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .file(path, errno) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count >= 0 else { throw .file(path, errno) }
            if count == 0 { break }
            bytes += buffer[..<count]
            guard bytes.count <= 1 << 20 else { throw ToolFailure("\(path): longer than a unit file is") }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func entries(_ folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            names.append(
                withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                })
        }
        return names
    }
}

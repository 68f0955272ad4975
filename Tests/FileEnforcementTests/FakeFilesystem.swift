import FileEnforcement

/// A filesystem of the test's own: paths, symlinks and superblocks.
struct FakeFilesystem: FilesystemView {
    /// Existing directories and files by canonical path, with their superblock.
    var directories: [String: UInt64] = ["/": 1]
    var files: [String: UInt64] = [:]
    /// Symlinked prefixes, such as `/bin` → `/usr/bin`.
    var links: [String: String] = [:]
    var mounts: [Superblock] = [Superblock(device: 1, mountPoint: Array("/".utf8), isMarkable: true)]

    private func resolve(_ path: String) -> String {
        for (link, target) in links where path == link || path.hasPrefix(link + "/") {
            return target + path.dropFirst(link.count)
        }
        return path
    }

    mutating func object(at path: [UInt8]) -> ViewedObject? {
        let real = resolve(String(decoding: path, as: UTF8.self))
        if let device = directories[real] {
            return ViewedObject(device: device, canonicalPath: Array(real.utf8), isDirectory: true)
        }
        return files[real].map { ViewedObject(device: $0, canonicalPath: Array(real.utf8), isDirectory: false) }
    }

    mutating func directories(under path: [UInt8], limit: Int) -> [[UInt8]]? {
        let root = resolve(String(decoding: path, as: UTF8.self))
        let prefix = root == "/" ? "/" : root + "/"
        let found = directories.keys.filter { $0 == root || $0.hasPrefix(prefix) }.sorted()
        return found.count > limit ? nil : found.map { Array($0.utf8) }
    }

    /// Files with further names.
    var linked: Set<String> = []

    mutating func hasFilesOfManyNames(_ path: [UInt8], recursive: Bool) -> Bool {
        let path = String(decoding: path, as: UTF8.self)
        return linked.contains { $0 == path || $0.hasPrefix(path + "/") }
    }

    mutating func superblocks() -> [Superblock] { mounts }
}

import Glibc

/// The policy files of a path, by name: a folder's `.yaml`, `.yml` and `.json` files at any depth, or the file itself.
public enum PolicyFolder {
    /// Bytes of a policy file at most.
    public static let fileLimit = 1 << 20

    /// Files, sorted, and the folders they lie in. Symlinks below a folder are not followed.
    public static func contents(_ path: String) -> (files: [String], folders: [String]) {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return ([path], []) }
        var files: [String] = []
        var folders: [String] = []
        list(path, depth: 0, &files, &folders)
        return (files.sorted(), folders)
    }

    private static func list(_ folder: String, depth: Int, _ files: inout [String], _ folders: inout [String]) {
        folders.append(folder)
        guard depth < 16, let stream = opendir(folder) else {
            // Shows up as a file that cannot be read.
            files.append(folder)
            return
        }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasPrefix(".") { continue }
            let path = folder.hasSuffix("/") ? folder + name : folder + "/" + name
            var status = stat()
            guard lstat(path, &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR {
                list(path, depth: depth + 1, &files, &folders)
            } else if [".yaml", ".yml", ".json"].contains(where: name.hasSuffix) {
                files.append(path)
            }
        }
    }
}

import LinuxKernel

/// Fills an object index from the existing subjects of a plan.
enum ObjectIndexer {
    /// Indexes files of the subjects until the limit is reached, then what was known before: an object that was moved away
    /// from its rule's path is still the object.
    ///
    /// - Returns: the index, and whether everything fitted.
    static func index(
        _ subjects: [MarkPlan.IndexedSubject], limit: Int, carrying known: [ObjectIndex.Entry]
    ) -> (ObjectIndex, isComplete: Bool) {
        var entries: [ObjectIndex.Entry] = []
        var isComplete = true
        var seen: Set<[UInt8]> = []
        // Single files first: a large tree must not crowd them out.
        let ordered = subjects.filter { $0.recursive == nil } + subjects.filter { $0.recursive != nil }
        for subject in ordered {
            let finished = DirectoryWalk.run(subject.path, recursive: subject.recursive ?? false) { entry in
                guard entries.count < limit else { return false }
                if seen.insert(entry.path).inserted {
                    entries.append((entry.status.device, entry.status.inode, entry.handle, entry.path))
                }
                return true
            }
            isComplete = isComplete && finished
        }
        let average = entries.isEmpty ? 0 : entries.reduce(0) { $0 + $1.path.count } / entries.count + 1
        let carried = min(known.count, limit - min(entries.count, limit))
        var index = ObjectIndex(
            capacity: max(entries.count + carried, 16), averagePath: average,
            spareBytes: known.reduce(0) { $0 + $1.path.count + 10 })
        for entry in entries {
            let fitted = entry.path.withUnsafeBytes {
                index.insert(device: entry.device, inode: entry.inode, handle: entry.handle, path: $0)
            }
            isComplete = isComplete && fitted
        }
        index.carryOver(known)
        return (index, isComplete)
    }
}

/// Programs that run what they open: dynamic loaders and script interpreters, by object.
enum Interpreters {
    private static let loaders = [
        "/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux.so.2", "/lib/ld-linux-aarch64.so.1", "/lib/ld-linux-armhf.so.3",
        "/lib/ld-musl-x86_64.so.1", "/lib/ld-musl-aarch64.so.1",
    ]
    private static let directories = ["/bin/", "/usr/bin/", "/usr/local/bin/"]
    private static let names = [
        "sh", "bash", "dash", "ash", "ksh", "zsh", "fish", "busybox", "python", "python2", "python3", "perl", "ruby",
        "node", "nodejs", "php", "lua", "luajit", "tclsh", "awk", "gawk", "mawk", "guile", "java",
    ]

    /// (device, inode) of every known loader (1) and interpreter (2) that exists here.
    static func objects() -> FlatTable {
        var table = FlatTable(capacity: 256)
        func add(_ path: String, _ kind: UInt64) {
            guard let descriptor = HostFilesystem.pin(Array(path.utf8)) else { return }
            defer { RawDescriptor.close(descriptor) }
            var status = ObjectStatus()
            guard ObjectStatus.read(descriptor: descriptor, into: &status) == 0 else { return }
            if table.find(status.device, status.inode) == nil {
                _ = table.insert(status.device, status.inode, value: kind)
            }
        }
        for path in loaders { add(path, 1) }
        for directory in directories { for name in names { add(directory + name, 2) } }
        for directory in ["/usr/bin/", "/usr/local/bin/"] {
            // Versioned names: python3.11, perl5.36.0, ruby3.1, …
            _ = DirectoryWalk.run(Array(directory.dropLast().utf8), recursive: false) { entry in
                let name = String(decoding: entry.path.dropFirst(directory.utf8.count), as: UTF8.self)
                if ["python", "perl5", "ruby", "php", "lua5", "tclsh"].contains(where: name.hasPrefix),
                    !entry.isDirectory,
                    table.find(entry.status.device, entry.status.inode) == nil
                {
                    _ = table.insert(entry.status.device, entry.status.inode, value: 2)
                }
                return !table.isFull
            }
        }
        return table
    }
}

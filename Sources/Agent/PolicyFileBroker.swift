import Glibc
import LinuxKernel
import Synchronization

/// Opens policy files for the front, which has no right to: a thread of the guardian that lists names, opens regular files
/// read-only, and passes descriptors. It reads nothing of their contents. It also watches the folders and sends everything
/// again when something changed.
final class PolicyFileBroker: Sendable {
    /// Most files of one scan.
    static let limit = 10_000
    /// Changes within this time are one change: editors write a file in several steps.
    private static let settleMilliseconds: Int32 = 100

    private let paths: [String]
    private let wake: Int32
    private let channel = Atomic<Int32>(-1)
    private let isStarted = Atomic<Bool>(false)
    private let isWanted = Atomic<Bool>(false)

    init(paths: [String]) throws(KernelError) {
        self.paths = paths
        wake = try EventDescriptor.create().release()
    }

    /// Sends to this front from now on.
    func serve(_ channel: Int32) throws(KernelError) {
        self.channel.store(channel, ordering: .releasing)
        if !isStarted.exchange(true, ordering: .acquiringAndReleasing) {
            try KernelThread.start(name: "policy-files") { [self] in run() }
        }
    }

    /// Asks for a scan; returns at once.
    func scan() {
        isWanted.store(true, ordering: .releasing)
        EventDescriptor.signal(wake)
    }

    private func run() {
        var watch = try? DirectoryWatch()
        while true {
            Poll.waitReadable([wake, watch?.descriptor ?? -1], timeoutMilliseconds: -1)
            EventDescriptor.drain(wake)
            if watch?.drain() == true {
                usleep(UInt32(Self.settleMilliseconds) * 1000)
                _ = watch?.drain()
                isWanted.store(true, ordering: .releasing)
            }
            if isWanted.exchange(false, ordering: .acquiringAndReleasing) {
                watch = (try? DirectoryWatch()) ?? watch
                send(&watch)
            }
        }
    }

    private func send(_ watch: inout DirectoryWatch?) {
        let channel = channel.load(ordering: .acquiring)
        guard channel >= 0 else { return }
        var count: UInt64 = 0
        for path in paths {
            // Watched before it is listed, so that no change falls between.
            for file in PolicyFolder.files(path, onDirectory: { watch?.add($0) }) {
                guard count < Self.limit else { break }
                count += 1
                let descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
                if descriptor < 0 {
                    let reason = String(cString: strerror(errno))
                    Channel.send(channel, ChannelMessage(.policyUnreadable, text: file + "\0" + reason))
                    continue
                }
                defer { RawDescriptor.close(descriptor) }
                var status = stat()
                if fstat(descriptor, &status) != 0 || status.st_mode & S_IFMT != S_IFREG {
                    Channel.send(channel, ChannelMessage(.policyUnreadable, text: file + "\0not a regular file"))
                } else {
                    Channel.send(channel, ChannelMessage(.policyFile, text: file), descriptor: descriptor)
                }
            }
        }
        Channel.send(channel, ChannelMessage(.policyScanEnd, number: count))
    }
}

/// The policy files of a path, by name: a folder's `.yaml`, `.yml` and `.json` files at any depth, or the file itself.
enum PolicyFolder {
    static func files(_ path: String, onDirectory: (String) -> Void) -> [String] {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            // A path that leads through a symlink is the operator's choice; its entries' symlinks are not followed.
            if stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
                return list(path, depth: 0, onDirectory)
            }
            return [path]
        }
        return list(path, depth: 0, onDirectory)
    }

    private static func list(_ folder: String, depth: Int, _ onDirectory: (String) -> Void) -> [String] {
        onDirectory(folder)
        guard depth < 16, let stream = opendir(folder) else { return [folder] }
        defer { closedir(stream) }
        var files: [String] = []
        var folders: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasPrefix(".") { continue }
            let path = folder.hasSuffix("/") ? folder + name : folder + "/" + name
            var status = stat()
            guard lstat(path, &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR {
                folders.append(path)
            } else if name.hasSuffix(".yaml") || name.hasSuffix(".yml") || name.hasSuffix(".json") {
                files.append(path)
            }
        }
        return (files + folders.flatMap { list($0, depth: depth + 1, onDirectory) }).sorted()
    }
}

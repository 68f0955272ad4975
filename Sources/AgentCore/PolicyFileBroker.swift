import Glibc
import LinuxKernel
import PolicyFiles
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
        wake = try EventDescriptor.make()
    }

    /// Sends to this front from now on.
    func serve(_ channel: Int32) throws(KernelError) {
        self.channel.store(channel, ordering: .releasing)
        if !isStarted.exchange(true, ordering: .acquiringAndReleasing) {
            _ = try KernelThread.start(name: "policy-files") { [self] in run() }
        }
    }

    /// Asks for a scan; returns at once.
    func scan() {
        isWanted.store(true, ordering: .releasing)
        EventDescriptor.signal(wake)
    }

    private func run() {
        var watch: FolderWatch
        do { watch = try FolderWatch() } catch {
            AgentLog.error("policy folders are not watched: \(error)")
            return
        }
        while true {
            Readiness.wait(wake, watch.descriptor, timeoutMilliseconds: -1)
            EventDescriptor.drain(wake)
            if watch.drain() {
                usleep(UInt32(Self.settleMilliseconds) * 1000)
                _ = watch.drain()
                isWanted.store(true, ordering: .releasing)
            }
            if isWanted.exchange(false, ordering: .acquiringAndReleasing) {
                if let fresh = try? FolderWatch() { watch = fresh }
                send(watch)
            }
        }
    }

    private func send(_ watch: borrowing FolderWatch) {
        let channel = channel.load(ordering: .acquiring)
        guard channel >= 0 else { return }
        var count: UInt64 = 0
        for path in paths {
            // Watched before it is listed, so that no change falls between.
            let (files, folders) = PolicyFolder.contents(path)
            for folder in folders { watch.add(folder) }
            for file in files {
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

import LinuxKernel

/// Watches folders for new, changed and removed files.
struct FolderWatch: ~Copyable {
    private let inotify: Inotify

    init() throws(KernelError) { inotify = try Inotify() }

    var descriptor: Int32 { inotify.descriptor.raw }

    /// Watches a folder; one that has gone is left out.
    func add(_ folder: String) { _ = try? inotify.add(folder, .directoryChanges) }

    /// Whether anything happened since the last call.
    func drain() -> Bool {
        var happened = false
        while let events = try? inotify.events(), !events.isEmpty { happened = true }
        return happened
    }
}

import Glibc
import LinuxKernel
import Testing

@Suite(.timeLimit(.minutes(10)))
struct FeatureProbeTests {
    @Test func everyNameOnceAndARelease() {
        let probe = FeatureProbe.run()
        let names = probe.results.map(\.name)
        #expect(Set(names).count == names.count)
        #expect(probe.isAvailable("kernel.release"))
        #expect(!probe.isAvailable("no such feature"))
        for result in probe.results where !result.available {
            #expect(!result.detail.isEmpty || result.name.hasPrefix("capability."), "\(result.name)")
        }
        for name in [
            "fanotify.permission-class", "fanotify.filesystem-mark", "fanotify.rename", "seccomp.user-notification",
            "seccomp.wait-killable", "pidfd.open", "openat2", "memfd.seals", "landlock", "nf_tables", "cgroup2",
            "user-namespaces", "io_uring.disabled", "lsm.active", "yama", "capability.sys_admin",
            "fanotify.mount-namespace-mark",
        ] {
            #expect(names.contains(name), "\(name)")
        }
    }

    @Test(.enabled(if: isRoot))
    func agreesWithWhatWorks() throws {
        let probe = FeatureProbe.run()
        #expect(probe.isAvailable("fanotify.permission-class") == ((try? Fanotify.create(.contentClass).raw) != nil))
        let scratch = try ScratchFileSystem()
        let group = try Fanotify.create([])
        let works =
            Fanotify.mark(group: group.raw, .add, scope: .filesystem, mask: FanotifyMask.open, path: scratch.path) == 0
        #expect(probe.isAvailable("fanotify.filesystem-mark") == works)
        let named = try Fanotify.create(.reportDFIDName)
        let renames =
            Fanotify.mark(
                group: named.raw, .add, scope: .filesystem, mask: FanotifyMask.rename, path: scratch.path) == 0
        #expect(probe.isAvailable("fanotify.rename") == renames)
    }

    @Test(.enabled(if: isRoot))
    func findsNothingPrivilegedWithoutPrivileges() async {
        await #expect(processExitsWith: .success) {
            alarm(20)
            try Capabilities.apply(permitted: [], effective: [], inheritable: [])
            let probe = FeatureProbe.run()
            let privileged = probe.results.filter {
                $0.available && ($0.name == "fanotify.permission-class" || $0.name.hasPrefix("capability."))
            }
            exit(privileged.isEmpty && probe.isAvailable("memfd.seals") ? EXIT_SUCCESS : EXIT_FAILURE)
        }
    }

    @Test func leavesNoDescriptorAndNoChild() async {
        await #expect(processExitsWith: .success) {
            alarm(20)
            _ = FeatureProbe.run()
            var before = 0
            _ = ProcFS.forEachDescriptor(of: getpid()) { _, _ in before += 1 }
            _ = FeatureProbe.run()
            var after = 0
            _ = ProcFS.forEachDescriptor(of: getpid()) { _, _ in after += 1 }
            let reaped = waitpid(-1, nil, WNOHANG)
            exit(before == after && reaped == -1 && errno == ECHILD ? EXIT_SUCCESS : EXIT_FAILURE)
        }
    }
}

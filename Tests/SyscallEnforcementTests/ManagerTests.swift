import Glibc
import LinuxKernel
import Testing

@testable import SyscallEnforcement

/// What counts as somebody who starts programs for others, by name.
@Suite("Managers")
struct ManagerTests {
    private func isListed(_ name: String, own: [String] = []) -> Bool {
        let sockets = ManagerSockets(own: own)
        return Array(name.utf8).withUnsafeBytes { sockets.isListed($0) }
    }

    @Test(arguments: [
        "/run/docker.sock", "/run/containerd/s/8f14e45f", "/run/user/1000/bus", "/run/user/0/podman/podman.sock",
        "/run/systemd/private", "/own/agent.sock",
    ])
    func socketsOfManagers(name: String) { #expect(isListed(name, own: ["/own/agent.sock"])) }

    @Test(arguments: [
        "", "/", "/run/docker.soc", "/run/docker.sock2", "/run/docker.sock/x", "/run/containerd/s/",
        "/run/containerd/s/a/b",
        "/run/user//bus", "/run/user/1000/x/bus", "/run/user/1000/bus2", "/tmp/run/docker.sock", "/run/systemd/notify",
        "/run/systemd/journal/dev-log", "/own/agent.sock",
    ])
    func socketsOfOthers(name: String) { #expect(!isListed(name)) }

    @Test(arguments: [
        ("/run", true), ("/run/user", true), ("/run/user/1000", true), ("/run/user/1000/systemd", true),
        ("/run/containerd/s", true), ("/own", true), ("/", true), ("/run/containerd/s/a", false), ("/run/us", false),
        ("/run/user/1000/bus", false), ("/run/lock", false), ("/home", false), ("/run/user/1000/systemd/units", false),
    ])
    func directoriesAboveSockets(name: String, isOne: Bool) {
        let sockets = ManagerSockets(own: ["/own/agent.sock"])
        #expect(Array(name.utf8).withUnsafeBytes { sockets.lie(below: $0) } == isOne)
    }

    @Test(arguments: [
        ("containerd-shim/moby/1/shim.sock", true), ("/containerd-shim/1.sock", true), ("/com/ubuntu/upstart", true),
        ("containerd-shi", false), ("", false), ("/tmp/.X11-unix/X0", false),
    ])
    func namesWithoutAPlace(name: String, isOne: Bool) {
        #expect(Array(name.utf8).withUnsafeBytes { ManagerSockets.contain(abstract: $0) } == isOne)
    }

    /// An object stays one under every name, for as long as it is that object.
    @Test func anObjectIsKnownByWhatItWasCalled() throws {
        let folder = "/tmp/portcullis-managers-\(getpid())"
        mkdir(folder, 0o700)
        defer { for name in ["/a", "/b", "/c", ""] { remove(folder + name) } }
        let sockets = ManagerSockets(own: [folder + "/a"])
        func bound(_ name: String) -> ObjectStatus {
            #expect(mknod(folder + name, S_IFSOCK | 0o600, 0) == 0)
            return status(name)
        }
        func status(_ name: String) -> ObjectStatus {
            var status = ObjectStatus()
            #expect(ObjectStatus.read(path: folder + name, follow: false, into: &status) == 0)
            return status
        }
        let first = bound("/a")
        #expect(sockets.contain(first, nil))
        #expect(rename(folder + "/a", folder + "/b") == 0)
        #expect(sockets.contain(status("/b"), nil))
        #expect(!sockets.contain(bound("/c"), nil))
        // Its successor, too.
        #expect(sockets.contain(bound("/a"), nil))
        #expect(sockets.contain(status("/b"), nil))
    }

    @Test(arguments: [
        ("/var/spool/cron", true), ("/var/spool/cron/crontabs/root", true), ("/etc/cron.d/x", true),
        ("/etc/crontab", true), ("/etc/crontab.new", false), ("/etc/cron.d2/x", false), ("/etc/cron.allow", false),
        ("/var/spool/cronx", false), ("/home/u/etc/crontab", false), ("/var/spool", false), ("", false),
    ])
    func filesOfCron(name: String, isOne: Bool) {
        #expect(Array(name.utf8).withUnsafeBytes { ManagerFiles.contain($0) } == isOne)
    }

    @Test(arguments: [
        ("/var", true), ("/var/spool", true), ("/etc", true), ("/var/spool/cron", false), ("/va", false),
        ("/var/spool/mail", false),
    ])
    func directoriesAboveThem(name: String, isOne: Bool) {
        #expect(Array(name.utf8).withUnsafeBytes { ManagerFiles.lie(below: $0) } == isOne)
    }
}

import Glibc
import LinuxKernel
import Synchronization

/// Sockets of managers: programs outside of every tree that start others for whoever asks. What a tree has started by one of them is not in the
/// tree, so that no tree may ask (bypass B21), unless the operator says `--on-failure manager-asked=allow`.
///
/// A manager's socket is known by its name, and by being the object that has, or was once seen to have, such a name: a hard link or a bind mount
/// made elsewhere leads to the same object.
final class ManagerSockets: Sendable {
    /// Names in the host's view; `*` is one name of any kind. What is below `/var/run` is a link to them.
    static let names: [StaticString] = [
        // systemd(1), and the buses on which it takes orders.
        "/run/systemd/private", "/run/systemd/io.systemd.Manager", "/run/systemd/machine/io.systemd.Machine",
        "/run/dbus/system_bus_socket",
        "/run/user/*/systemd/private", "/run/user/*/systemd/io.systemd.Manager", "/run/user/*/bus",
        // Containers.
        "/run/docker.sock", "/run/user/*/docker.sock", "/run/podman/podman.sock", "/run/user/*/podman/podman.sock",
        "/run/containerd/containerd.sock", "/run/containerd/containerd.sock.ttrpc", "/run/containerd/s/*",
        "/run/docker/containerd/containerd.sock", "/run/docker/containerd/containerd.sock.ttrpc",
        "/run/k3s/containerd/containerd.sock", "/run/k3s/containerd/containerd.sock.ttrpc",
        "/run/k0s/containerd.sock", "/var/snap/microk8s/common/run/containerd.sock", "/run/crio/crio.sock",
        "/run/cri-dockerd.sock", "/run/buildkit/buildkitd.sock", "/run/buildkit-default/buildkitd.sock",
        "/run/user/*/buildkit/buildkitd.sock", "/run/user/*/buildkit-default/buildkitd.sock",
        "/var/lib/lxd/unix.socket", "/var/snap/lxd/common/lxd/unix.socket",
        "/var/snap/lxd/common/lxd-user/unix.socket", "/var/lib/incus/unix.socket", "/var/lib/incus/unix.socket.user",
        // Machines, packages, services.
        "/run/libvirt/libvirt-sock", "/run/libvirt/virtqemud-sock", "/run/libvirt/virtlxcd-sock",
        "/run/user/*/libvirt/libvirt-sock", "/run/user/*/libvirt/virtqemud-sock", "/run/snapd.socket",
        "/run/supervisor.sock", "/run/supervisor/supervisor.sock",
    ]
    /// How names without a place in a filesystem begin: of containerd's shims before 1.4, and of upstart.
    static let abstractNames: [StaticString] = ["containerd-shim/", "/containerd-shim/", "/com/ubuntu/upstart"]

    private struct Identity: Equatable {
        /// 0 for none.
        var inode: UInt64 = 0
        var device: UInt64 = 0
        /// Where the filesystem keeps it: numbers are given again.
        var btime: Int64?
    }

    private struct Known {
        var objects = [Identity](repeating: Identity(), count: ManagerSockets.capacity)
        /// Where the next one is put: the oldest is forgotten.
        var next = 0

        mutating func add(_ identity: Identity) {
            if objects.contains(identity) { return }
            objects[next] = identity
            next = (next + 1) % objects.count
        }
    }

    private static let capacity = 256
    /// Bytes, with a zero behind. Beyond 1024 the memory would not be the stack's.
    private static let longestName = 256
    private static let any = UInt8(ascii: "*")
    private static let slash = UInt8(ascii: "/")
    /// The machine's and the agent's own. Those that users can make as many of as they like are beside them, and push nobody else's out.
    private let known = Mutex(Known())
    private let users = Mutex(Known())
    /// The agent's own, which takes policies away.
    private let own: [[UInt8]]

    /// - Parameter own: names of the agent's own sockets.
    init(own: [String]) {
        self.own = own.map { Array($0.utf8) }
        remember(user: 0)
        // Made now, not at the first call.
        _ = (Self.abstractNames.count, ManagerFiles.directories.count, ManagerFiles.files.count)
    }

    /// Whether an object is one.
    ///
    /// - Parameter name: in the host's view; `nil` where it has none that is known.
    func contain(_ object: ObjectStatus, _ name: UnsafeRawBufferPointer?) -> Bool {
        remember(user: object.uid)
        if let name, isListed(name) { return true }
        let identity = Identity(inode: object.inode, device: object.device, btime: object.btime)
        return known.withLock { $0.objects.contains(identity) } || users.withLock { $0.objects.contains(identity) }
    }

    /// Whether a name without a place in a filesystem is one's.
    ///
    /// - Parameter name: without the zero byte that it begins with.
    static func contain(abstract name: UnsafeRawBufferPointer) -> Bool {
        abstractNames.contains { ByteText.suffix(of: name, after: $0) != nil }
    }

    /// Whether a name is on the list, or the agent's own.
    func isListed(_ name: UnsafeRawBufferPointer) -> Bool {
        Self.names.contains { pattern in
            Self.matches(
                UnsafeRawBufferPointer(start: pattern.utf8Start, count: pattern.utf8CodeUnitCount), name)
        } || own.contains { $0.elementsEqual(name) }
    }

    /// Whether a name that is on the list, or the agent's own, could lie below a directory.
    func lie(below directory: UnsafeRawBufferPointer) -> Bool {
        // The root's name ends with the slash that others are followed by.
        guard directory.count > 1 else { return true }
        return Self.names.contains { pattern in
            Self.matches(
                UnsafeRawBufferPointer(start: pattern.utf8Start, count: pattern.utf8CodeUnitCount), directory,
                above: true)
        }
            || own.contains { name in
                name.withUnsafeBytes { Self.matches($0, directory, above: true) }
            }
    }

    /// - Parameter above: the name is that of a directory on the way to the pattern's.
    private static func matches(
        _ pattern: UnsafeRawBufferPointer, _ name: UnsafeRawBufferPointer, above: Bool = false
    ) -> Bool {
        var at = 0
        for byte in pattern {
            if above, at == name.count, byte == slash { return true }
            if byte == any {
                let start = at
                while at < name.count, name[at] != slash { at += 1 }
                if at == start { return false }
            } else {
                guard at < name.count, name[at] == byte else { return false }
                at += 1
            }
        }
        return !above && at == name.count
    }

    // MARK: - Objects

    /// Looks which objects have the names now. They are made anew with each start of their manager.
    private func remember(user: UInt32) {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Self.longestName) { text in
            for name in Self.names {
                guard let (length, isUsers) = write(name, user: user, into: text) else { continue }
                remember(length, text, isUsers: isUsers)
            }
            for name in own where name.count < text.count {
                for (index, byte) in name.enumerated() { text[index] = CChar(bitPattern: byte) }
                remember(name.count, text, isUsers: false)
            }
        }
    }

    private func remember(_ length: Int, _ text: UnsafeMutableBufferPointer<CChar>, isUsers: Bool) {
        guard let base = text.baseAddress else { return }
        base[length] = 0
        var status = ObjectStatus()
        if !isUsers {
            guard ObjectStatus.read(path: base, follow: true, into: &status) == 0 else { return }
        } else {
            // Where a user's links lead says nothing.
            let object = ObjectCalls.pin(
                OpenFlags.currentDirectory, base, follow: false, resolve: ObjectCalls.noSymbolicLinks)
            guard object >= 0 else { return }
            defer { RawDescriptor.close(object) }
            guard ObjectStatus.read(descriptor: object, into: &status) == 0 else { return }
        }
        guard status.isSocket else { return }
        let identity = Identity(inode: status.inode, device: status.device, btime: status.btime)
        if isUsers { users.withLock { $0.add(identity) } } else { known.withLock { $0.add(identity) } }
    }

    /// Writes a name with the user in the place of `*`; `nil` for one in which that is no user.
    private func write(
        _ name: StaticString, user: UInt32, into text: UnsafeMutableBufferPointer<CChar>
    ) -> (length: Int, isUsers: Bool)? {
        guard let base = text.baseAddress else { return nil }
        var (length, isUsers) = (0, false)
        for index in 0..<name.utf8CodeUnitCount {
            let byte = name.utf8Start[index]
            if byte == Self.any {
                if index + 1 == name.utf8CodeUnitCount { return nil }
                length = DecimalText.write(user, to: base, at: length)
                isUsers = true
            } else {
                base[length] = CChar(bitPattern: byte)
                length += 1
            }
        }
        return (length, isUsers)
    }
}

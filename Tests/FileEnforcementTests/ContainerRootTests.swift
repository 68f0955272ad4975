import LinuxKernel
import Testing

@testable import FileEnforcement

@Suite("Roots of containers")
struct ContainerRootTests {
    /// As runc has made them when it asks its hooks: the root is mounted, but not yet the root.
    private static let before = """
        46 45 254:0 / / rw,relatime - ext4 /dev/vda rw
        67 46 0:39 / /b rw,relatime - tmpfs t rw
        69 67 0:40 / /b/rootfs rw,relatime - overlay overlay rw
        70 69 0:41 / /b/rootfs/proc rw,relatime - proc proc rw
        72 71 0:43 / /b/rootfs/dev/pts rw,relatime - devpts devpts rw
        71 69 0:42 / /b/rootfs/dev rw,nosuid - tmpfs tmpfs rw
        73 69 254:0 /srv/data /b/rootfs/data rw,relatime - ext4 /dev/vda rw
        74 46 0:50 / /b/rootfs2 rw,relatime - tmpfs t rw
        """
    private static let after = """
        69 45 0:40 / / rw,relatime - overlay overlay rw
        70 69 0:41 / /proc rw,relatime - proc proc rw
        71 69 0:42 / /dev rw,nosuid - tmpfs tmpfs rw
        72 71 0:43 / /dev/pts rw,relatime - devpts devpts rw
        73 69 254:0 /srv/data /data rw,relatime - ext4 /dev/vda rw
        46 70 0:60 / /proc/acpi ro,relatime - tmpfs tmpfs ro
        """

    private func names(_ entries: [MountEntry]?) -> [String] {
        (entries ?? []).map { "\($0.id) \(String(decoding: $0.mountPoint, as: UTF8.self))" }.sorted()
    }

    @Test func onlyWhatIsBelowTheRootIsTheContainers() throws {
        let expected = ["69 /", "70 /proc", "71 /dev", "72 /dev/pts", "73 /data"]
        let before = try MountTable.parse(Array(Self.before.utf8))
        #expect(names(ContainerRoot.mounts(before, below: 69)) == expected)
        let after = try MountTable.parse(Array(Self.after.utf8))
        // The number of a mount that is gone comes again.
        #expect(names(ContainerRoot.mounts(after, below: 69)) == (expected + ["46 /proc/acpi"]).sorted())
        #expect(ContainerRoot.mounts(before, below: 68) == nil)
        // Between pivot_root(".", ".") and the end of the root before.
        let between = try MountTable.parse(
            Array((Self.after + "\n47 69 254:0 / / rw - ext4 /dev/vda rw\n48 47 0:39 / /b rw - tmpfs t rw").utf8))
        #expect(names(ContainerRoot.mounts(between, below: 69)) == (expected + ["46 /proc/acpi"]).sorted())
    }

    @Test func whatTheHostHasElsewhereIsShared() throws {
        let host = try MountTable.parse(
            Array(
                """
                1 0 254:0 / / rw - ext4 /dev/vda rw
                2 1 0:40 / /store/overlay/x/merged rw - overlay overlay rw
                3 1 0:42 / /store/containers/x/shm rw - tmpfs shm rw
                """.utf8))
        let below = try #require(ContainerRoot.mounts(try MountTable.parse(Array(Self.after.utf8)), below: 69))
        let ext4: UInt64 = 254 << 32
        func shared(_ root: String, _ bundle: String) -> Set<UInt64> {
            ContainerRoot.shared(
                below, host: host, places: ContainerRoot.Places(root: Array(root.utf8), bundle: Array(bundle.utf8)))
        }
        #expect(shared("/store/overlay/x/merged", "/store/containers/x") == [ext4])
        #expect(shared("/store/overlay/x/merged", "") == [ext4, 42])
        #expect(shared("/store/overlay/x", "/store/containers/x/shm") == [ext4, 42])
        // Not by the beginning of a name.
        #expect(shared("/store/overlay/x/mer", "/store/containers/x") == [ext4, 40])
        #expect(shared("", "") == [ext4, 40, 42])
    }
}

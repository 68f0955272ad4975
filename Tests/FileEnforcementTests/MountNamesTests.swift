import LinuxKernel
import Testing

@testable import FileEnforcement

@Suite("Mount names")
struct MountNamesTests {
    private static let host = """
        20 1 8:1 / / rw - ext4 /dev/sda1 rw
        21 20 0:30 / /tmp rw - tmpfs tmpfs rw
        22 20 8:1 /srv/data /export rw - ext4 /dev/sda1 rw
        23 20 0:31 /sub /only-a-part rw - tmpfs tmpfs rw

        """

    private func name(_ path: String, mount: UInt64) throws -> String? {
        let names = MountNames(try MountTable.parse(Array(Self.host.utf8)))
        defer { names.deallocate() }
        return Array(path.utf8).withUnsafeBytes { raw in
            withUnsafeTemporaryAllocation(byteCount: 16384, alignment: 8) { buffer in
                switch names.name(of: raw, mountID: mount, into: buffer) {
                case nil: nil
                case .canonical: path
                case .translated(let count): String(decoding: buffer[0..<count], as: UTF8.self)
                case .unknown: "?"
                }
            }
        }
    }

    @Test(
        arguments: [
            ("/etc/shadow", 20, "/etc/shadow"), ("/tmp/x", 21, "/tmp/x"), ("/export/a/b", 22, "/srv/data/a/b"),
            ("/export", 22, "/srv/data"), ("/only-a-part/x", 23, "/only-a-part/x"),
        ] as [(String, UInt64, String)])
    func hostPaths(path: String, mount: UInt64, expected: String) throws {
        #expect(try name(path, mount: mount) == expected)
    }

    @Test func anUnknownMountIsNotTheHosts() throws { #expect(try name("/etc/shadow", mount: 99) == nil) }

    @Test(arguments: [
        ("/usr/bin/ls", "/tmp/evil", "/usr/bin", "8:1", "/tmp/evil/ls"), ("/etc/x", "/", "/", "8:1", "/etc/x"),
        ("/m/x", "/", "/m", "0:30", "/tmp/x"), ("/m/x", "/", "/m", "9:9", "?"), ("/other/x", "/", "/m", "8:1", "?"),
        ("/m/y", "/other", "/m", "0:31", "?"),
    ])
    func aPathOfAnotherNamespaceIsTheHostsNameOfTheObject(
        path: String, root: String, point: String, device: String, expected: String
    ) throws {
        let names = MountNames(try MountTable.parse(Array(Self.host.utf8)))
        defer { names.deallocate() }
        let line = "99 1 \(device) \(root) \(point) rw - ext4 x rw\n"
        let entry = try #require(try MountTable.parse(Array(line.utf8)).first)
        let found = Array(path.utf8).withUnsafeBytes { raw in
            withUnsafeTemporaryAllocation(byteCount: 16384, alignment: 8) { buffer in
                switch names.name(of: raw, foreign: entry, into: buffer) {
                case .canonical: path
                case .translated(let count): String(decoding: buffer[0..<count], as: UTF8.self)
                case .unknown: "?"
                }
            }
        }
        #expect(found == expected)
    }
}

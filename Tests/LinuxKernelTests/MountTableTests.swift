import Glibc
import LinuxKernel
import Testing

@Suite(.timeLimit(.minutes(10)))
struct MountTableTests {
    @Test func parsesEveryField() throws {
        let line =
            #"36 35 98:7 /mnt1\040a /mnt2/tab\011nl\012bs\134oct\1234 ro,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue"#
        let entries = try MountTable.parse(Array(line.utf8))
        let entry = try #require(entries.first)
        #expect(entries.count == 1)
        #expect((entry.id, entry.parent, entry.major, entry.minor) == (36, 35, 98, 7))
        #expect(entry.deviceNumber == 98 << 32 | 7)
        #expect(entry.root == Array("/mnt1 a".utf8))
        #expect(entry.mountPoint == Array("/mnt2/tab\tnl\nbs\\octS4".utf8))
        #expect(entry.options == Array("ro,noatime".utf8))
        #expect(entry.isReadOnly)
        #expect(entry.propagation == [Array("master:1".utf8), Array("shared:2".utf8)])
        #expect(entry.type == Array("ext3".utf8))
        #expect(entry.device == Array("/dev/root".utf8))
        #expect(entry.superOptions == Array("rw,errors=continue".utf8))
    }

    @Test func backslashesThatAreNoEscapeStay() throws {
        let entry = try MountTable.parse(Array(#"1 0 0:5 / /a\9b\77\400 rw - t d o"#.utf8)).first
        #expect(entry?.mountPoint == Array(#"/a\9b\77\400"#.utf8))
        #expect(entry?.isReadOnly == false)
        #expect(entry?.propagation == [])
    }

    @Test(arguments: [
        "x 35 98:0 / /m rw - ext3 d o", "36 35 98 / /m rw - ext3 d o", "36 35 98:0 / /m rw shared:1 ext3 d o x",
        "36 35 98:0 / /m rw - ext3 d", "36 35", "36 35 98:99999999999 / /m rw - t d o",
    ])
    func refusesWhatItDoesNotUnderstand(_ line: String) {
        #expect(throws: KernelError("parse mountinfo", errno: EPROTO)) {
            _ = try MountTable.parse(Array("1 0 0:5 / / rw - t d o\n\(line)\n".utf8))
        }
    }

    @Test func agreesBetweenOwnAndByPid() throws {
        let mounts = try MountTable.read()
        #expect(mounts.contains { $0.mountPoint == [UInt8(ascii: "/")] })
        #expect(try MountTable.read(of: getpid()).contains { $0.mountPoint == [UInt8(ascii: "/")] })
    }

    @Test(.enabled(if: isRoot))
    func seesAndIsToldOfMountsWithOddNames() throws {
        let scratch = try ScratchFileSystem()
        let odd = scratch.path + "/a b\tc\nd\\e"
        #expect(mkdir(odd, 0o755) == 0)
        let watch = try MountTable.watch()
        _ = try watch.readAll(limit: MountTable.limit)
        var set = PollSet()
        set.add(watch.raw, .priority)
        #expect(mount("source with blank", odd, "tmpfs", UInt(MS_RDONLY), nil) == 0)
        defer { umount2(odd, Int32(MNT_DETACH)) }
        #expect(set.wait(timeoutMilliseconds: 10_000) == 1)
        #expect(set.events(at: 0).contains(.priority))
        let entry = try MountTable.read().first { $0.mountPoint == Array(odd.utf8) }
        #expect(entry?.type == Array("tmpfs".utf8))
        #expect(entry?.device == Array("source with blank".utf8))
        #expect(entry?.isReadOnly == true)
        #expect(entry?.deviceNumber == (try ObjectStatus.of(path: odd).device))
        #expect(entry?.id == (try ObjectStatus.of(path: odd).mountID))
    }
}

import Foundation
import Testing

@testable import LinuxKernel

@Suite("Cgroups")
struct CgroupTests {
    private static func parse(_ text: String) -> ProcessCgroups { ProcessCgroups(parsing: Array(text.utf8)) }

    @Test func everyLayoutIsRead() {
        let hybrid = Self.parse(
            "12:net_cls,net_prio:/a\n1:name=systemd:/init.scope\n0::/system.slice/a:b.service\n")
        #expect(hybrid.unified == "/system.slice/a:b.service" && hybrid.netClass == "/a")
        #expect(Self.parse("0::/\n") == Self.parse("0::/"))
        #expect(Self.parse("4:memory:/x\n3:net_cls:/y\n").unified == nil)
        #expect(Self.parse("4:memory:/x\n3:net_cls:/y\n").netClass == "/y")
        #expect(Self.parse("3:name=net_cls:/y\n").netClass == nil)
        #expect(Self.parse("") == Self.parse("nonsense\n0:\n0::relative\n:::\n"))
    }

    @Test func aDirectoryIsMadeEnteredAndRemoved() throws {
        let own = try ProcessCgroups(of: getpid())
        let path = try #require(own.unified)
        let parent = try CgroupDirectory(.unified, path)
        #expect(parent.level == UInt32(path.split(separator: "/").count))
        let child = try parent.child("portcullis-test-\(getpid())")
        defer { try? child.remove() }
        #expect(child.level == parent.level + 1 && child.id != parent.id)
        #expect(try parent.child("portcullis-test-\(getpid())") == child)
        let sleeper = Process()
        sleeper.executableURL = URL(fileURLWithPath: "/usr/bin/sleep")
        sleeper.arguments = ["60"]
        try sleeper.run()
        try child.add(sleeper.processIdentifier)
        #expect(try child.processes() == [sleeper.processIdentifier])
        let entered = try ProcessCgroups(of: sleeper.processIdentifier)
        #expect(entered.unified == (path == "/" ? "" : path) + "/portcullis-test-\(getpid())")
        #expect(try CgroupDirectory(.unified, try #require(entered.unified)) == child)
        let busy = #expect(throws: KernelError.self) { try child.remove() }
        #expect(busy?.errno == EBUSY)
        kill(sleeper.processIdentifier, SIGKILL)
        sleeper.waitUntilExit()
        try child.remove()
        #expect(throws: KernelError.self) { try CgroupDirectory(.unified, entered.unified ?? "") }
    }
}

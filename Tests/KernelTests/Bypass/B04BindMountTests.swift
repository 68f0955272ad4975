import Foundation
import Testing

extension KernelSuite {
    /// B04: the object under another name, in a mount namespace of the attacker's own.
    @Suite("B04")
    struct B04BindMountTests {
        @Test(arguments: Filesystem.allCases) func aBindMountInAPrivateNamespace(_ filesystem: Filesystem) throws {
            let scratch = try Scratch(filesystem)
            let agent = try AgentUnderTest.blockingFiles(scratch)
            agent.expectBlocked(
                agent.victim("bind", scratch.path("prot"), scratch.path("work"), scratch.path("work/secret")),
                operation: "File", resource: scratch.path("prot/secret"))
        }

        /// Who looks a mount up in a process's table does not find it there: it lies outside of the process's root.
        @Test func aMountThatItsMakersRootDoesNotShow() throws {
            let scratch = try Scratch()
            let agent = try AgentUnderTest.blockingFiles(scratch, "matchPatterns: [{pattern: \"@/prot/**\"}]")
            // Not there when the rules were loaded, so that it is known by its name only.
            try FileManager.default.moveItem(atPath: scratch.path("work/plain"), toPath: scratch.path("prot/later"))
            let script = """
                import ctypes, os
                mount = ctypes.CDLL(None).mount
                assert mount(b"none", b"/", None, 0x44000, None) == 0
                assert mount(b"none", b"/mnt", b"tmpfs", 0, None) == 0
                os.mkdir("/mnt/bind"), os.mkdir("/mnt/empty")
                assert mount(b"\(scratch.path("prot"))", b"/mnt/bind", None, 0x1000, None) == 0
                directory = os.open("/mnt/bind", os.O_PATH)
                os.chroot("/mnt/empty")
                try: print("opened", os.read(os.open("later", os.O_RDONLY, dir_fd=directory), 10))
                except OSError as error: print("errno", error.errno, "EPERM")
                """
            let result = agent.run(
                Scratch.become(Scratch.user) + ["unshare", "-Urm", "/usr/bin/python3", "-c", script])
            agent.expectBlocked(result, operation: "File", resource: scratch.path("prot/later"))
            #expect(!result.output.contains("PLAIN"))
        }
    }
}

import Glibc
import LinuxKernel
import Testing

/// What cannot be undone happens in processes of its own.
@Suite(.timeLimit(.minutes(10)))
struct PrivilegeTests {
    @Test func capabilityNames() throws {
        #expect(CapabilitySet([.sysAdmin, .chown]).description == "chown,sys_admin")
        #expect(CapabilitySet().description == "-")
        #expect(CapabilitySet(name: "CAP_NET_RAW") == .netRaw)
        #expect(CapabilitySet(name: "bpf") == .bpf)
        #expect(CapabilitySet(name: "cap_everything") == nil)
        #expect(CapabilitySet(number: 64).isEmpty)
        #expect(CapabilitySet(number: 62).description == "cap_62")
        for (number, name) in CapabilitySet.names.enumerated() {
            #expect(CapabilitySet(name: name)?.numbers == [number])
        }
        #expect(Capabilities.known.contains(.syslog))
    }

    @Test(.enabled(if: isRoot))
    func capabilitiesAreDroppedForGood() async {
        await #expect(processExitsWith: .success) {
            alarm(20)
            let kept: CapabilitySet = [.sysPtrace, .dacReadSearch]
            try Capabilities.limitBounding(to: kept)
            try Capabilities.clearAmbient()
            try Capabilities.apply(permitted: kept, effective: kept, inheritable: [])
            try Capabilities.verify(kept, bounding: kept)
            let now = try Capabilities.current()
            var failures: Int32 = 0
            if now.inheritable != [] || now.bounding != kept || now.permitted != kept { failures |= 1 }
            let regaining = error { () throws(KernelError) in
                try Capabilities.apply(permitted: [.sysAdmin], effective: [], inheritable: [])
            }
            if regaining?.errno != EPERM { failures |= 2 }
            let verifying = error { () throws(KernelError) in try Capabilities.verify([.sysPtrace]) }
            if verifying?.errno != EPERM { failures |= 4 }
            if chroot("/") == 0 || errno != EPERM { failures |= 16 }
            exit(failures)
        }
    }

    @Test func processControl() async {
        await #expect(processExitsWith: .success) {
            alarm(20)
            var failures: Int32 = 0
            try ProcessControl.setDumpable(false)
            if ProcessControl.isDumpable { failures |= 1 }
            if ProcessControl.hasNoNewPrivileges { failures |= 2 }
            try ProcessControl.setNoNewPrivileges()
            if !ProcessControl.hasNoNewPrivileges { failures |= 4 }
            try ProcessControl.setParentDeathSignal(SIGKILL)
            try ProcessControl.setChildSubreaper(true)
            if ProcessControl.setFileCreationMask(0o077) == 0o077 { failures |= 8 }
            if ProcessControl.setFileCreationMask(0o022) != 0o077 { failures |= 16 }
            let limit = try ResourceLimit.openFiles.current()
            try ResourceLimit.openFiles.set(ResourceLimit.Values(soft: 100, hard: limit.hard))
            if try ResourceLimit.openFiles.raise(to: 90) != 100 { failures |= 32 }
            if try ResourceLimit.openFiles.raise(to: 200) != 200 { failures |= 64 }
            try ResourceLimit.coreSize.set(ResourceLimit.Values(soft: 0, hard: 0))
            if try ResourceLimit.coreSize.current() != ResourceLimit.Values(soft: 0, hard: 0) { failures |= 128 }
            exit(failures)
        }
    }

    @Test(.enabled(if: isRoot))
    func memoryCanBeLocked() async {
        await #expect(processExitsWith: .success) {
            alarm(20)
            try ProcessControl.lockMemory(future: true, onFault: true)
            var buffer = InlineArray<8192, UInt8>(repeating: 0)
            let text = withUnsafeMutableBytes(of: &buffer) { raw in
                String(decoding: raw.prefix(max(0, ProcFS.read(of: getpid(), "status", into: raw))), as: UTF8.self)
            }
            let locked = text.split(separator: "\n").first { $0.hasPrefix("VmLck:") } ?? ""
            exit(locked.contains(" 0 kB") || locked.isEmpty ? EXIT_FAILURE : EXIT_SUCCESS)
        }
    }

    @Test func kernelSettings() throws {
        #expect(try KernelSetting.number("kernel/pid_max") > 0)
        #expect(try !KernelSetting.text("kernel/osrelease").isEmpty)
        #expect(throws: KernelError("parse sysctl", errno: EPROTO)) {
            _ = try KernelSetting.number("kernel/osrelease")
        }
        #expect(throws: KernelError("openat", errno: ENOENT)) { _ = try KernelSetting.text("kernel/nothing") }
    }
}

import FileEnforcement
import Glibc
import LinuxKernel

/// Executions: decided here, performed by the kernel, and compared before the first instruction (docs/adr/0011).
extension CallBroker {
    mutating func execute(
        _ call: PathCall, _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Answer {
        guard let status = judge.look(at: walk.object) else { return Self.denied }
        if status.isSymbolicLink { return .result(-Int(ELOOP)) }
        // What nobody may execute is nothing to ask about.
        if !status.isRegularFile || status.mode & 0o111 == 0 { return Self.denied }
        guard judge.permitsExecution(of: walk.object, state) else { return Self.denied }
        return .execution(Program(device: status.device, inode: status.inode, directory: call.path.directory))
    }

    /// Whether a process, which has just executed a program and stands before its first instruction, runs what was decided on last: that
    /// object itself, or its interpreter, which is decided on here.
    mutating func verifies(
        _ process: Int32, _ program: Program, _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Bool {
        let object = ProcFS.pin(of: process, "exe")
        guard object >= 0 else { return judge.fail(.executionUnverified, .process, state) }
        defer { RawDescriptor.close(object) }
        if let status = judge.look(at: object), status.device == program.device, status.inode == program.inode {
            return true
        }
        guard judge.permitsExecution(of: object, state) else { return false }
        // Whoever reads a script gets it by an open of its own; here it has to be the script that was decided on.
        return isExecutedName(of: process, from: program.directory)
            || judge.fail(.executionUnverified, .process, state)
    }

    /// Whether the kernel executed by the name in `path`; it puts the descriptor before one that is relative to one (execveat(2)).
    private func isExecutedName(of process: Int32, from directory: Int32) -> Bool {
        guard let expected = path.baseAddress, ExecutedName.read(of: process, into: newPath) >= 0,
            var executed = UnsafePointer(newPath.baseAddress)
        else { return false }
        let isAbsolute = expected[0] == CChar(bitPattern: UInt8(ascii: "/"))
        if directory != OpenFlags.currentDirectory, !isAbsolute {
            for byte in "/dev/fd/".utf8 {
                guard executed.pointee == CChar(bitPattern: byte) else { return false }
                executed += 1
            }
            var number: Int32 = 0
            while executed.pointee >= 0x30, executed.pointee <= 0x39 {
                number = number &* 10 &+ Int32(executed.pointee - 0x30)
                executed += 1
            }
            guard number == directory else { return false }
            if expected[0] == 0 { return executed.pointee == 0 }
            guard executed.pointee == CChar(bitPattern: UInt8(ascii: "/")) else { return false }
            executed += 1
        }
        return strcmp(executed, expected) == 0
    }
}

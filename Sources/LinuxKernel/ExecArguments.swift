import CLinux

/// argv of an execve(2) or execveat(2) in which a thread waits, read from its memory before the kernel copies it.
///
/// Another thread that shares the memory can change it between this and the kernel's copy: never more than advice.
public enum ExecArguments {
    /// Most arguments read.
    public static let limit = 64

    /// Copies the arguments, each ended by a zero byte.
    ///
    /// - Returns: the length; -14 when memory cannot be read; -22 when the call is not an exec; -7 when there are too
    ///   many or they are too long.
    public static func read(
        _ state: SystemCallState, tid: Int32, into buffer: UnsafeMutableRawBufferPointer
    ) -> Int {
        guard case .blocked(let number, let registers) = state else { return -22 }
        let vector: UInt64
        switch number {
        #if arch(x86_64)
            case 59: vector = registers[1]
            case 322: vector = registers[2]
        #else
            case 221: vector = registers[1]
            case 281: vector = registers[2]
        #endif
        default: return -22
        }
        // A null vector is an empty one (execve(2), Linux keeps that).
        if vector == 0 { return 0 }
        var used = 0
        for index in 0..<limit {
            var pointer: UInt64 = 0
            guard pc_read_process_memory(tid, vector &+ UInt64(index) &* 8, &pointer, 8) == 0 else { return -14 }
            if pointer == 0 { return used }
            let length = text(at: pointer, tid, UnsafeMutableRawBufferPointer(rebasing: buffer[used...]))
            guard length >= 0 else { return length }
            used += length
        }
        return -7
    }

    /// Copies one string with its zero byte; its length with it, or a negated errno.
    private static func text(at address: UInt64, _ tid: Int32, _ buffer: UnsafeMutableRawBufferPointer) -> Int {
        guard let base = buffer.baseAddress else { return -7 }
        var used = 0
        while used < buffer.count {
            // Page by page: what lies behind the string need not be mapped.
            let at = address &+ UInt64(used)
            let chunk = min(Int(4096 - (at & 4095)), buffer.count - used)
            guard pc_read_process_memory(tid, at, base + used, chunk) == 0 else { return -14 }
            for offset in 0..<chunk where buffer[used + offset] == 0 { return used + offset + 1 }
            used += chunk
        }
        return -7
    }
}

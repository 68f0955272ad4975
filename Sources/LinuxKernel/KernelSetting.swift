/// sysctl values, read from /proc/sys. Allocates.
public enum KernelSetting {
    /// The text of a setting, "fs/fanotify/max_user_marks", without the final newline. ENOENT: the kernel has it not.
    public static func text(_ path: String) throws(KernelError) -> String {
        let bytes = try PathOpening.read(directory: ProcFS.root, "sys/" + path, limit: 65_536)
        return String(decoding: bytes.last == UInt8(ascii: "\n") ? bytes.dropLast() : bytes[...], as: UTF8.self)
    }

    /// A setting that is one number. EPROTO if it is none.
    public static func number(_ path: String) throws(KernelError) -> Int64 {
        guard let value = Int64(try text(path)) else { throw KernelError("parse sysctl", errno: 71) }
        return value
    }
}

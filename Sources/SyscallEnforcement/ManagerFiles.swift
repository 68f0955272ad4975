import LinuxKernel

/// Files in which cron(8), anacron(8) and at(1) are told what to start, in the host's view. The names count, as they stand; a policy that names such a file
/// knows it by its other names, too.
enum ManagerFiles {
    /// Directories, with everything below them.
    static let directories: [StaticString] = [
        "/var/spool/cron", "/var/spool/at", "/var/spool/atjobs", "/etc/cron.d", "/etc/cron.hourly", "/etc/cron.daily",
        "/etc/cron.weekly", "/etc/cron.monthly",
    ]
    /// Single files.
    static let files: [StaticString] = ["/etc/crontab", "/etc/anacrontab"]

    private static let slash = UInt8(ascii: "/")

    /// Whether a name is one of them, or lies below one.
    static func contain(_ name: UnsafeRawBufferPointer) -> Bool {
        // Almost no name gets further.
        guard ByteText.suffix(of: name, after: "/var/spool/") != nil || ByteText.suffix(of: name, after: "/etc/") != nil
        else { return false }
        return directories.contains { directory in
            ByteText.suffix(of: name, after: directory).map { $0.isEmpty || $0[0] == slash } ?? false
        } || files.contains { ByteText.suffix(of: name, after: $0)?.isEmpty == true }
    }

    /// Whether one of them lies below a directory.
    static func lie(below directory: UnsafeRawBufferPointer) -> Bool {
        directories.contains { lies($0, below: directory) } || files.contains { lies($0, below: directory) }
    }

    private static func lies(_ file: StaticString, below directory: UnsafeRawBufferPointer) -> Bool {
        let text = UnsafeRawBufferPointer(start: file.utf8Start, count: file.utf8CodeUnitCount)
        return text.count > directory.count && text[directory.count] == slash && text.starts(with: directory)
    }
}

/// Where a process is in the hierarchies of cgroups(7), as /proc/<pid>/cgroup has it: paths below the root of the reader's cgroup namespace.
public struct ProcessCgroups: Equatable, Sendable {
    /// Of cgroup v2; `nil` when there is no such hierarchy.
    public var unified: String?
    /// Of the hierarchy of version 1 that has net_cls.
    public var netClass: String?

    /// More than the kernel writes for a dozen hierarchies.
    private static let limit = 1 << 20

    /// Those of a process. ESRCH when it is gone.
    public init(of pid: Int32) throws(KernelError) {
        self.init(parsing: try ProcFS.open(of: pid, "cgroup").readAll(limit: Self.limit))
    }

    /// Parses `number:controllers:path` lines; what is none of them is passed over.
    public init(parsing text: [UInt8]) {
        for line in text.split(separator: UInt8(ascii: "\n")) {
            // A path may have colons.
            let parts = line.split(separator: UInt8(ascii: ":"), maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3, parts[2].first == UInt8(ascii: "/"),
                let path = String(validating: parts[2], as: UTF8.self)
            else { continue }
            let controllers = parts[1].split(separator: UInt8(ascii: ","))
            if parts[0].elementsEqual("0".utf8), parts[1].isEmpty { unified = path }
            if controllers.contains(where: { $0.elementsEqual("net_cls".utf8) }) { netClass = path }
        }
    }
}

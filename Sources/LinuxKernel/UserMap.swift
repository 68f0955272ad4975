/// How the user ids of a process' user namespace are mapped to those of ours (user_namespaces(7)).
public struct UserMap: Equatable, Sendable {
    /// A run of ids.
    public struct Range: Equatable, Sendable {
        /// The first inside.
        public var inside: UInt32
        /// What that is outside.
        public var outside: UInt32
        /// How many follow each other.
        public var count: UInt32
    }

    /// In the order of the file.
    public var ranges: [Range] = []

    /// Of a process. ESRCH when it is gone.
    public init(of process: Int32) throws(KernelError) {
        self.init(parsing: try ProcFS.open(of: process, "uid_map").readAll(limit: 1 << 16))
    }

    /// Parses the lines of /proc/<pid>/uid_map.
    public init(parsing text: [UInt8]) {
        for line in text.split(separator: UInt8(ascii: "\n")) {
            let numbers = line.split(separator: UInt8(ascii: " ")).compactMap {
                UInt32(String(decoding: $0, as: UTF8.self))
            }
            if numbers.count == 3, numbers[2] > 0 {
                ranges.append(Range(inside: numbers[0], outside: numbers[1], count: numbers[2]))
            }
        }
    }

    /// Ids mean something else than outside: it is not our namespace, or one just like it.
    public var isOther: Bool { ranges.contains { $0.inside != $0.outside } }

    /// From the first to the last id outside; `nil` when they have holes, in which others may be.
    public var outside: ClosedRange<UInt32>? {
        let sorted = ranges.sorted { $0.outside < $1.outside }
        guard let first = sorted.first, let last = sorted.last else { return nil }
        for (left, right) in zip(sorted, sorted.dropFirst()) where left.outside &+ left.count != right.outside {
            return nil
        }
        let (end, isOver) = last.outside.addingReportingOverflow(last.count - 1)
        return isOver ? nil : first.outside...end
    }
}

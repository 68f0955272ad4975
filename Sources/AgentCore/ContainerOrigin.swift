import FileEnforcement

/// Where a container is to be found, as whoever tells of it says.
package struct ContainerOrigin: Codable, Hashable, Sendable {
    /// Its first process.
    package var process: Int32
    /// As its runtime calls it.
    package var id: String
    /// Its root directory, as the host names it, and its first process until the runtime has made it the root; empty if nobody says.
    package var rootPath = ""
    /// The directory of its configuration, below which an engine mounts file systems for it; empty if nobody says.
    package var bundle = ""
    /// Its program does not run yet.
    package var isStarting: Bool
    /// It is held by the filter of its profile, rather than by marks.
    package var isSupervised: Bool

    /// How it is held.
    package var way: ContainerEnforcer.Way { isSupervised ? .calls : .marks }

    private static let separator = UInt8(0)

    /// As it travels between the roles; `nil` when it would not fit into a message.
    package var text: [UInt8]? {
        let words = [String(process), isStarting ? "1" : "0", isSupervised ? "1" : "0", id, rootPath, bundle]
        guard !words.contains(where: { $0.utf8.contains(Self.separator) }) else { return nil }
        let text = Array(words.map { Array($0.utf8) }.joined(separator: [Self.separator]))
        return text.count < Self.limit ? text : nil
    }

    /// Bytes of `text` at most.
    private static let limit = 12_000

    package init(process: Int32, id: String, isStarting: Bool, isSupervised: Bool) {
        (self.process, self.id, self.isStarting, self.isSupervised) = (process, id, isStarting, isSupervised)
    }

    /// Reads `text`; `nil` for anything that it does not make.
    package init?(_ text: [UInt8]) {
        let words = text.split(separator: Self.separator, omittingEmptySubsequences: false).map {
            String(decoding: $0, as: UTF8.self)
        }
        guard words.count == 6, let process = Int32(words[0]), process > 1, ["0", "1"].contains(words[1]),
            ["0", "1"].contains(words[2])
        else { return nil }
        self.init(process: process, id: words[3], isStarting: words[1] == "1", isSupervised: words[2] == "1")
        (rootPath, bundle) = (words[4], words[5])
    }
}

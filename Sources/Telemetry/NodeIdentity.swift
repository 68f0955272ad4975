import Glibc

/// How alerts name the machine they come from.
public struct NodeIdentity: Sendable, Hashable {
    /// Configuration `cluster`.
    public var clusterName: String
    /// Name of the node.
    public var hostName: String
    /// Machine id, or the node's name.
    public var nodeID: String

    /// Creates an identity.
    public init(clusterName: String = "default", hostName: String, nodeID: String) {
        self.clusterName = clusterName
        self.hostName = hostName
        self.nodeID = nodeID
    }

    /// Reads this machine's identity.
    ///
    /// - Parameters:
    ///   - hostName: the configured name; empty takes the part of gethostname(2) before the first dot.
    ///   - machineIDPaths: the first readable, non-empty one wins (machine-id(5)); without any the node's name is used.
    public static func ofThisMachine(
        clusterName: String = "default", hostName: String = "",
        machineIDPaths: [String] = ["/etc/machine-id", "/var/lib/dbus/machine-id"]
    ) -> NodeIdentity {
        let name = hostName.isEmpty ? shortHostName() : hostName
        let machineID = machineIDPaths.lazy.compactMap(firstLine(of:)).first
        return NodeIdentity(clusterName: clusterName, hostName: name, nodeID: machineID ?? name)
    }

    private static func shortHostName() -> String {
        // HOST_NAME_MAX is 64 on Linux; the array stays zero-terminated because one byte is held back.
        var buffer = [CChar](repeating: 0, count: 256)
        let status = gethostname(&buffer, buffer.count - 1)
        guard status == 0 else { return "localhost" }
        let name = buffer.map(UInt8.init(bitPattern:)).prefix { $0 != 0 && $0 != UInt8(ascii: ".") }
        return String(decoding: name, as: UTF8.self)
    }

    private static func firstLine(of path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 128)
        let count = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
        guard count > 0 else { return nil }
        let line = buffer[..<count].prefix { $0 > 0x20 && $0 < 0x7f }
        return line.isEmpty ? nil : String(decoding: line, as: UTF8.self)
    }
}

import LinuxKernel

/// The node itself as a workload: who it is in alerts and selectors.
public struct HostWorkload: Sendable, Equatable {
    /// Host name up to the first dot.
    public let name: String
    /// `/etc/machine-id`, else `/var/lib/dbus/machine-id`, else the name.
    public let nodeID: String

    /// - Parameters:
    ///   - configured: the name from the configuration; empty for the kernel's.
    public init(configured: String = "") {
        let own = Self.text(of: "/proc/sys/kernel/hostname") ?? "localhost"
        name = configured.isEmpty ? String(own.prefix { $0 != "." }) : configured
        nodeID = Self.text(of: "/etc/machine-id") ?? Self.text(of: "/var/lib/dbus/machine-id") ?? name
    }

    private static func text(of path: String) -> String? {
        guard let file = try? PathOpening.open(path, flags: OpenFlags.readOnly),
            let bytes = try? file.readAll(limit: 4096)
        else { return nil }
        let text = String(decoding: bytes, as: UTF8.self).filter { $0 != "\n" && $0 != "\r" }
        return text.isEmpty ? nil : text
    }
}

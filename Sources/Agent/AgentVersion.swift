import LinuxKernel

/// The version that `version`, `status` and alerts show.
public enum AgentVersion {
    /// Semantic version, as in CHANGELOG.md.
    public static let text = "0.1.0"
}

/// Writes plain lines for people.
enum FileHandleText {
    static func writeError(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = bytes.withUnsafeBytes { RawDescriptor.write(2, $0) }
    }
}

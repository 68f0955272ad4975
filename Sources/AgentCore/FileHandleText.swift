import LinuxKernel

/// Writes plain lines for people.
package enum FileHandleText {
    package static func writeError(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = bytes.withUnsafeBytes { RawDescriptor.write(2, $0) }
    }
}

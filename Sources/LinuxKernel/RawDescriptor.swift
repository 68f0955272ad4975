import CLinux

/// Descriptors that the kernel hands over as bare numbers, such as those of fanotify events.
public enum RawDescriptor {
    /// close(2); a number that is not open is left alone.
    public static func close(_ descriptor: Int32) {
        if descriptor >= 0 { _ = pc_close(descriptor) }
    }
}

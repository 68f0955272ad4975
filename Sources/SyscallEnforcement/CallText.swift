import LinuxKernel

/// What an alert says of a system call that a rule names: `SYS_UNLINK`, with the ids that it sets, without allocation.
enum CallText {
    /// Writes the text.
    ///
    /// - Parameter buffer: at least 128 bytes.
    /// - Returns: the part of the buffer that was written.
    static func write(
        _ name: UnsafeRawBufferPointer, _ call: SystemCallNotification, into buffer: UnsafeMutableRawBufferPointer
    ) -> UnsafeRawBufferPointer {
        var length = append("SYS_", to: buffer, at: 0)
        for byte in name.prefix(64) {
            buffer[length] = byte >= 0x61 && byte <= 0x7A ? byte - 0x20 : byte
            length += 1
        }
        // KubeArmor's name of it.
        if isName(name, "umount2") { length -= 1 }
        if isName(name, "setuid") || isName(name, "setgid") {
            length = append(" userid=", to: buffer, at: length)
            let id = UInt32(truncatingIfNeeded: call.argument(0))
            buffer.withMemoryRebound(to: CChar.self) { text in
                guard let base = text.baseAddress else { return }
                length = DecimalText.write(UInt64(id), to: base, at: length)
            }
        }
        return UnsafeRawBufferPointer(rebasing: buffer[..<length])
    }

    private static func isName(_ name: UnsafeRawBufferPointer, _ text: StaticString) -> Bool {
        ByteText.suffix(of: name, after: text)?.isEmpty == true
    }

    private static func append(_ text: StaticString, to buffer: UnsafeMutableRawBufferPointer, at start: Int) -> Int {
        for index in 0..<text.utf8CodeUnitCount { buffer[start + index] = text.utf8Start[index] }
        return start + text.utf8CodeUnitCount
    }
}

/// `CAP_NET_RAW` by number, for threads that decide. Made once.
enum CapabilityText {
    private struct Names: @unchecked Sendable {
        // Unchecked: not written after it was made.
        let texts: UnsafeMutablePointer<UnsafeRawBufferPointer>
        let count = CapabilitySet.names.count

        init() {
            texts = .allocate(capacity: CapabilitySet.names.count)
            for (index, name) in CapabilitySet.names.enumerated() {
                let bytes = Array("CAP_\(name.uppercased())".utf8)
                let text = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
                text.copyBytes(from: bytes)
                (texts + index).initialize(to: UnsafeRawBufferPointer(text))
            }
        }
    }

    private static let names = Names()

    static func name(of number: UInt8) -> UnsafeRawBufferPointer {
        Int(number) < names.count ? names.texts[Int(number)] : UnsafeRawBufferPointer(start: nil, count: 0)
    }
}

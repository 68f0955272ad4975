@testable import LinuxKernel

/// What must hold of every datagram of netlink that is read as packets, changes or lists. FuzzTesting has a link to this file.
enum NetlinkExercise {
    /// Reads a datagram in every way; says what must not be, or `nil`.
    static func violation(_ bytes: [UInt8]) -> String? {
        // Just as long as the datagram: under the address sanitizer a byte too far is a crash.
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 8)
        defer { room.deallocate() }
        room.copyBytes(from: bytes)
        let datagram = UnsafeRawBufferPointer(room)
        var problem: String?
        // A message has at least its header.
        let most = bytes.count / 16
        var packets = 0
        _ = LoggedPacket.parse(datagram) { packet in
            packets += 1
            if !isWithin(packet.payload, datagram) { problem = "a packet outside of its datagram" }
            // A prefix that is not there is a constant.
            if !packet.prefix.isEmpty, !isWithin(packet.prefix, datagram) { problem = "a text outside of its datagram" }
            // Read it all.
            _ = packet.payload.reduce(0, &+) &+ packet.prefix.reduce(0, &+)
        }
        if packets > most { problem = "more packets than messages" }
        let changes = NetfilterSocket.parseChanges(datagram, table: "portcullis")
        if changes.count > most { problem = "more changes than messages" }
        // 15 bytes, each of which may be replaced by a character of three.
        if changes.contains(where: { $0.name.utf8.count > 45 }) { problem = "the name of a process" }
        for kind in NetfilterSocket.Kind.allCases {
            let items = NetfilterSocket.parse(datagram, kind, table: "portcullis")
            if items.count > most { problem = "more things than messages" }
            if items.contains(where: { $0.name.utf8.count > 3 * 255 }) { problem = "the name of a thing" }
        }
        return problem
    }

    private static func isWithin(_ part: UnsafeRawBufferPointer, _ whole: UnsafeRawBufferPointer) -> Bool {
        guard !part.isEmpty else { return true }
        guard let start = part.baseAddress, let first = whole.baseAddress else { return false }
        return start >= first && start + part.count <= first + whole.count
    }
}

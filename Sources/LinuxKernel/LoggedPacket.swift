import CNetfilter

/// A packet that a rule of nf_tables logged. Valid only where it was handed over.
public struct LoggedPacket {
    /// The text of the rule.
    public let prefix: UnsafeRawBufferPointer
    /// The packet's first bytes, from the network header on.
    public let payload: UnsafeRawBufferPointer
    /// Index of the interface that it came by; 0 for none.
    public let input: UInt32
    /// Index of the interface that it leaves by; 0 for none.
    public let output: UInt32
    /// Where it was met: 1 input, 2 forward, 3 output.
    public let hook: UInt8
    /// Number of the packet in its group, for finding lost ones.
    public let sequence: UInt32?
    /// User of the socket; `nil` when there is none.
    public let uid: UInt32?

    init(_ raw: pc_nf_packet) {
        var length = 0
        while raw.prefix[length] != 0 { length += 1 }
        prefix = UnsafeRawBufferPointer(start: raw.prefix, count: length)
        payload = UnsafeRawBufferPointer(start: raw.payload, count: raw.payload == nil ? 0 : Int(raw.length))
        input = raw.input
        output = raw.output
        hook = raw.hook
        sequence = raw.has_sequence != 0 ? raw.sequence : nil
        uid = raw.uid == .max ? nil : raw.uid
    }

    /// The packets of one datagram of nfnetlink_log, as `NetfilterSocket.readLog` reads it. False when it is not one.
    public static func parse(_ datagram: UnsafeRawBufferPointer, _ body: (LoggedPacket) -> Void) -> Bool {
        guard let start = datagram.baseAddress else { return true }
        return withoutActuallyEscaping(body) { body in
            collect(body) { pc_nf_log_parse(start, UInt32(clamping: datagram.count), $0, $1) } >= 0
        }
    }

    static func collect(
        _ body: @escaping (LoggedPacket) -> Void,
        _ read: (@escaping pc_nf_packet_function, UnsafeMutableRawPointer) -> Int32
    ) -> Int32 {
        var body = body
        return withUnsafeMutablePointer(to: &body) { body in
            read(
                { context, packet in
                    context?.assumingMemoryBound(to: ((LoggedPacket) -> Void).self).pointee(
                        LoggedPacket(packet.pointee))
                }, body)
        }
    }
}

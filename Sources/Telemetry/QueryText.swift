import EventRing

/// Words of `Data` for queries.
enum QueryText {
    /// A name as a word: the reader of names leaves neither spaces nor control characters in it, but anybody may have written a `=` into it.
    static func word(_ name: [UInt8]) -> String {
        String(decoding: name.map { $0 == UInt8(ascii: "=") ? UInt8(ascii: "?") : $0 }, as: UTF8.self)
    }

    /// ` daddr=192.0.2.1 qtype=A Protocol=UDP Interface=eth0`: KubeArmor's words, and ours.
    static func of(_ query: PacketQuery) -> String {
        " daddr=\(FlowText.destination(query.flow)) qtype=\(type(query.type)) Protocol=\(FlowText.transport(query.flow.transport))"
            + FlowText.interface(query.flow)
    }

    /// Empty for others than the addresses', as with KubeArmor.
    private static func type(_ number: UInt16) -> String { number == 1 ? "A" : number == 28 ? "AAAA" : "" }
}

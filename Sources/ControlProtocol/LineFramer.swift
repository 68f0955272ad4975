/// Splits a stream of bytes into lines, each at most `limit` bytes long.
///
/// Every byte is looked at once however the stream is cut, and at most one unfinished line is kept: a peer that sends a long
/// line byte by byte costs no more than one that sends it at once.
public struct LineFramer: Sendable {
    /// Longest line: a policy document of 1 MiB, escaped.
    public static let defaultLimit = 8 << 20

    /// A line was longer than the limit; the stream is not to be used any more.
    public struct LineTooLong: Error, Equatable {}

    private let limit: Int
    /// The unfinished line; it never contains a newline.
    private var unfinished: [UInt8] = []

    /// A framer with nothing in it.
    public init(limit: Int = defaultLimit) { self.limit = limit }

    /// Takes bytes and returns the lines that are complete now, without their newlines.
    public mutating func append(_ bytes: some Collection<UInt8>) throws(LineTooLong) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        // One type from here on: a search through a caller's own collection is not specialised across modules.
        var rest = Array(bytes)[...]
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            try extend(with: rest[..<end])
            lines.append(unfinished)
            // A fresh array, so that a long line's memory goes with the line.
            unfinished = []
            rest = rest[(end + 1)...]
        }
        try extend(with: rest)
        return lines
    }

    private mutating func extend(with bytes: ArraySlice<UInt8>) throws(LineTooLong) {
        guard bytes.count <= limit - unfinished.count else {
            unfinished = []
            throw LineTooLong()
        }
        unfinished += bytes
    }
}

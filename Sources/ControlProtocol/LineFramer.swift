/// Splits a stream of bytes into lines, each at most `limit` bytes long.
public struct LineFramer: Sendable {
    /// Longest line: a policy document of 1 MiB, escaped.
    public static let defaultLimit = 8 << 20

    /// A line was longer than the limit; the stream is not to be used any more.
    public struct LineTooLong: Error, Equatable {}

    private let limit: Int
    private var buffer: [UInt8] = []

    /// A framer with nothing in it.
    public init(limit: Int = defaultLimit) { self.limit = limit }

    /// Takes bytes and returns the lines that are complete now, without their newlines.
    public mutating func append(_ bytes: some Collection<UInt8>) throws(LineTooLong) -> [[UInt8]] {
        buffer += bytes
        var lines: [[UInt8]] = []
        var start = 0
        while let end = buffer[start...].firstIndex(of: UInt8(ascii: "\n")) {
            guard end - start <= limit else { throw LineTooLong() }
            lines.append(Array(buffer[start..<end]))
            start = end + 1
        }
        if start > 0 { buffer.removeFirst(start) }
        guard buffer.count <= limit else { throw LineTooLong() }
        return lines
    }
}

import ControlProtocol
import Testing

@Suite struct LineFramerTests {
    @Test func everySplitGivesTheSameLines() throws {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<10_000 {
            let lines = (0..<Int.random(in: 0...6, using: &random)).map { _ in
                (0..<Int.random(in: 0...20, using: &random)).map { _ in
                    let byte = UInt8.random(in: 0...255, using: &random)
                    return byte == 10 ? 11 : byte
                }
            }
            let rest = [UInt8](repeating: 7, count: Int.random(in: 0...5, using: &random))
            var stream = ArraySlice(lines.flatMap { $0 + [10] } + rest)
            var framer = LineFramer(limit: 20)
            var found: [[UInt8]] = []
            while !stream.isEmpty {
                let count = Int.random(in: 0...stream.count, using: &random)
                found += try framer.append(stream.prefix(count))
                stream = stream.dropFirst(count)
            }
            try #require(found == lines)
            #expect(try framer.append([10]) == [rest])
        }
    }

    @Test func aLineOverTheLimitIsRefusedWithAndWithoutItsEnd() throws {
        var complete = LineFramer(limit: 3)
        #expect(try complete.append([1, 2, 3, 10]) == [[1, 2, 3]])
        #expect(throws: LineFramer.LineTooLong.self) { try complete.append([1, 2, 3, 4, 10]) }
        var unfinished = LineFramer(limit: 3)
        #expect(throws: LineFramer.LineTooLong.self) { try unfinished.append([1, 2, 3, 4]) }
    }
}

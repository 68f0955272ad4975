import ControlProtocol
import Testing

@Suite struct LineFramerLimitTests {
    @Test func theLimitHoldsAcrossPieces() throws {
        var framer = LineFramer(limit: 4)
        #expect(try framer.append([1, 2, 3]).isEmpty)
        #expect(try framer.append([4, 10, 5, 6]) == [[1, 2, 3, 4]])
        #expect(try framer.append([7, 8]).isEmpty)
        #expect(throws: LineFramer.LineTooLong.self) { try framer.append([9]) }
    }

    @Test func linesOfOneReadAreAllReturned() throws {
        var framer = LineFramer(limit: 2)
        #expect(try framer.append([10, 10, 1, 10, 1, 2, 10, 3]) == [[], [], [1], [1, 2]])
        #expect(try framer.append([10]) == [[3]])
    }
}

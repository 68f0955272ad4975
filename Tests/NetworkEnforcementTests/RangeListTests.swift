import Testing

@testable import NetworkEnforcement

@Suite("Ranges")
struct RangeListTests {
    @Test func rangesSideBySideBecomeOne() {
        #expect(RangeList.union([5...9, 1...3, 4...4, 20...20, 8...12]) == [1...12, 20...20])
        #expect(RangeList.union([]) == [])
        #expect(RangeList.union([UInt128.max...UInt128.max, 0...0]) == [0...0, UInt128.max...UInt128.max])
    }

    @Test func theFirstListOwnsANumber() {
        let owned = RangeList.firstOwners([[10...20], [5...30], [15...16, 40...40]])
        #expect(
            owned == [
                RangeList.Owned(range: 5...9, owner: 1), RangeList.Owned(range: 10...20, owner: 0),
                RangeList.Owned(range: 21...30, owner: 1), RangeList.Owned(range: 40...40, owner: 2),
            ])
        #expect(
            RangeList.firstOwners([[0...UInt128.max], [1...2]]) == [RangeList.Owned(range: 0...UInt128.max, owner: 0)])
    }

    /// Against asking each list in turn.
    @Test func everyNumberHasTheOwnerThatASearchFinds() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<500 {
            let lists = (0..<Int.random(in: 1...6, using: &random)).map { _ in
                (0..<Int.random(in: 0...4, using: &random)).map { _ -> ClosedRange<UInt128> in
                    let first = UInt128(Int.random(in: 0...60, using: &random))
                    return first...(first + UInt128(Int.random(in: 0...12, using: &random)))
                }
            }
            let owned = RangeList.firstOwners(lists)
            for (left, right) in zip(owned, owned.dropFirst()) {
                #expect(left.range.upperBound < right.range.lowerBound)
            }
            for number in UInt128(0)...80 {
                let expected = lists.firstIndex { $0.contains { $0.contains(number) } }
                let found = owned.first { $0.range.contains(number) }?.owner
                #expect(found == expected, "\(number) in \(lists)")
            }
        }
    }
}

import Foundation
import Synchronization
import Testing

@testable import FileEnforcement

@Suite("Tables that are read while they change")
struct ConcurrentTableTests {
    @Test func itIsWhatADictionaryWouldSay() {
        let table = ConcurrentTable()
        var expected: [UInt64: UInt64] = [:]
        var random = SystemRandomNumberGenerator()
        for round in 2...60_000 as ClosedRange<UInt64> {
            let key = UInt64.random(in: 0..<900, using: &random)
            if Bool.random(using: &random) {
                table.insert(key, key * 3, value: round) {}
                expected[key] = round
            } else {
                table.remove(key, key * 3)
                expected[key] = nil
            }
            let asked = UInt64.random(in: 0..<900, using: &random)
            #expect(table.find(asked, asked * 3) == expected[asked])
            #expect(table.count == expected.count && table.isEmpty == expected.isEmpty)
        }
        #expect(table.find(1, 4) == nil)
        var seen: [UInt64: UInt64] = [:]
        table.forEach { first, second, value in
            #expect(second == first * 3)
            seen[first] = value
        }
        #expect(seen == expected)
    }

    /// What stays is found at every moment, whatever comes and goes beside it, and what is taken out is not read behind the grace period.
    @Test func readersFindWhatStays() throws {
        let table = ConcurrentTable()
        let cells = (0..<3).map { _ in StateCell() }
        let stop = Atomic<Bool>(false)
        let misses = Atomic<Int>(0)
        let torn = Atomic<Int>(0)
        for key in 1...50 as ClosedRange<UInt64> { table.insert(key, 7, value: key + 100) {} }
        let readers = cells.map { cell in
            Thread {
                while !stop.load(ordering: .acquiring) {
                    _ = cell.enter()
                    for key in 1...50 as ClosedRange<UInt64> where table.find(key, 7) != key + 100 {
                        misses.wrappingAdd(1, ordering: .relaxed)
                    }
                    for key in 1000...1100 as ClosedRange<UInt64> {
                        if let value = table.find(key, 7), value % 1000 != key % 1000 {
                            torn.wrappingAdd(1, ordering: .relaxed)
                        }
                    }
                    cell.leave()
                }
            }
        }
        for reader in readers { reader.start() }
        let grace = { for cell in cells { cell.awaitReader { usleep(1) } } }
        for round in 1...300 as ClosedRange<UInt64> {
            for key in 1000...1100 as ClosedRange<UInt64> {
                table.insert(key, 7, value: round * 1000 + key % 1000, grace: grace)
            }
            for key in 1000...1100 as ClosedRange<UInt64> { table.remove(key, 7) }
            grace()
        }
        stop.store(true, ordering: .releasing)
        for reader in readers { while !reader.isFinished { usleep(100) } }
        #expect(misses.load(ordering: .acquiring) == 0)
        #expect(torn.load(ordering: .acquiring) == 0)
        #expect(table.count == 50)
    }
}

import Testing

@testable import FileEnforcement

@Suite("Tables of the permission thread")
struct TableTests {
    @Test func aFlatTableFindsWhatWasPutIn() {
        var table = FlatTable(capacity: 1000)
        defer { table.deallocate() }
        for number in 0..<1000 as Range<UInt64> {
            let inserted = table.insert(number, number * 7, value: number + 5)
            #expect(inserted)
        }
        for number in 0..<1000 as Range<UInt64> { #expect(table.find(number, number * 7) == number + 5) }
        #expect(table.find(1, 8) == nil)
        #expect(table.find(5000, 0) == nil)
        #expect(table.count == 1000)
        let replaced = table.insert(3, 21, value: 1)
        #expect(replaced)
        #expect(table.find(3, 21) == 1)
        #expect(table.count == 1000)
    }

    @Test func aFullTableRefusesInsteadOfLoopingForEver() {
        var table = FlatTable(capacity: 4)
        defer { table.deallocate() }
        var inserted = 0
        for number in 0..<100 as Range<UInt64> where table.insert(number, 0, value: 0) { inserted += 1 }
        #expect(inserted >= 4 && inserted < 100)
        #expect(table.find(99, 99) == nil)
    }

    @Test func anIndexKeepsTheFirstNameAndRefusesBeyondItsCapacity() throws {
        var index = ObjectIndex(capacity: 3, averagePath: 4000)
        defer { index.deallocate() }
        func put(_ inode: UInt64, _ path: String) -> Bool {
            Array(path.utf8).withUnsafeBytes { index.insert(device: 1, inode: inode, handle: inode * 3, path: $0) }
        }
        let results = [put(1, "/a"), put(1, "/b"), put(2, "/c"), put(3, "/d"), put(4, "/e")]
        #expect(results == [true, true, true, true, false])
        let found = try #require(index.find(device: 1, inode: 1))
        #expect(String(decoding: found.path, as: UTF8.self) == "/a")
        #expect(found.handle == 3)
        #expect(index.find(device: 2, inode: 1) == nil)
    }

    @Test(arguments: [
        ("/a/b (deleted)", "/a/b"), ("/a/b", "/a/b"), ("/x (deleted) (deleted)", "/x (deleted)"),
        ("(deleted)", "(deleted)"),
    ])
    func theKernelsMarkOfAnUnlinkedObjectIsTakenOffOnce(path: String, expected: String) {
        let length = Array(path.utf8).withUnsafeBytes { DeletedSuffix.strippedLength($0) }
        #expect(String(decoding: path.utf8.prefix(length), as: UTF8.self) == expected)
    }

    @Test func failuresDenyUnlessTheOperatorSaysOtherwise() {
        var table = FailureTable.failClosed
        for row in FailureRow.allCases where row != .snapshotMissing { #expect(!table.allows(row), "\(row)") }
        table.set(.workerLost, allow: true)
        #expect(table.allows(.workerLost))
        #expect(!table.allows(.deadlineExpired))
        table.set(.workerLost, allow: false)
        #expect(table == .failClosed)
        #expect(Set(FailureRow.allCases.map(\.name)).count == FailureRow.allCases.count)
    }

    @Test func theBoardKeepsCountersApart() {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: StatusBoard.size, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: StatusBoard.size)
        defer { memory.deallocate() }
        let board = StatusBoard(memory: memory)
        for (number, slot) in StatusBoard.Slot.allCases.enumerated() { board.set(slot, UInt64(number + 1)) }
        for (number, row) in FailureRow.allCases.enumerated() { for _ in 0...number { board.count(row) } }
        for (number, slot) in StatusBoard.Slot.allCases.enumerated() {
            #expect(board.value(slot) == UInt64(number + 1))
        }
        for (number, row) in FailureRow.allCases.enumerated() { #expect(board.failures(row) == UInt64(number + 1)) }
    }
}

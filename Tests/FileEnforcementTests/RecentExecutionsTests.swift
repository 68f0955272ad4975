import Testing

@testable import FileEnforcement

@Suite struct RecentExecutionsTests {
    @Test func theLastOneOfAThreadIsKnownToAll() {
        let executions = RecentExecutions()
        #expect(!executions.contains(7, 1, 2, isAllowed: false))
        executions.note(7, 1, 2, isAllowed: false)
        let other = executions
        #expect(other.contains(7, 1, 2, isAllowed: false))
        #expect(!other.contains(7, 1, 2, isAllowed: true))
        #expect(!other.contains(8, 1, 2, isAllowed: false))
        #expect(!other.contains(7, 2, 1, isAllowed: false))
        executions.note(7, 1, 3, isAllowed: true)
        #expect(!other.contains(7, 1, 2, isAllowed: false))
        #expect(other.contains(7, 1, 3, isAllowed: true))
    }

    @Test func threadsOfOnePlaceDoNotPassForEachOther() {
        let executions = RecentExecutions()
        executions.note(3, 1, 2, isAllowed: false)
        #expect(!executions.contains(3 + 256, 1, 2, isAllowed: false))
        executions.note(3 + 256, 1, 2, isAllowed: false)
        #expect(!executions.contains(3, 1, 2, isAllowed: false))
    }

    @Test func onlyOurOwnThreadsAreOurs() {
        let threads = CallThreads(count: 3)
        threads.add(0, id: 100)
        threads.add(2, id: 102)
        #expect(threads.contains(100) && threads.contains(102))
        #expect(!threads.contains(101) && !threads.contains(-1))
    }
}

import FileEnforcement
import Testing

@testable import SyscallEnforcement

/// Places for calls that wait.
@Suite("Waiting calls")
struct WaitingCallsTests {
    private func fill(_ waiting: WaitingCalls, _ slot: Int) -> [Int] {
        var places: [Int] = []
        while let place = waiting.reserve(for: slot) { places.append(place) }
        return places
    }

    @Test func noTreeTakesWhatOthersNeed() {
        let waiting = WaitingCalls()
        let all = StatusBoard.waitingCalls.count
        let greedy = fill(waiting, 0)
        #expect(greedy.count == all / 2)
        let second = fill(waiting, 1)
        #expect(second.count == all / 4)
        #expect(waiting.reserve(for: 2) != nil)
        #expect(Set(greedy + second).count == greedy.count + second.count)
        for place in greedy { waiting.release(place, of: 0) }
        // As before, less what the others have.
        #expect(fill(waiting, 0).count == (all - second.count - 1) / 2 + (all - second.count - 1) % 2)
    }

    @Test func whatIsGivenBackIsThereAgain() {
        let waiting = WaitingCalls()
        let before = fill(waiting, 5)
        for place in before { waiting.release(place, of: 5) }
        #expect(Set(fill(waiting, 5)) == Set(before))
    }
}

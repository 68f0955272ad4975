import Glibc
import LinuxKernel
import Synchronization
import Testing

@testable import SyscallEnforcement

@Suite("Call duty", .timeLimit(.minutes(10)))
struct CallDutyTests {
    private final class Log: Sendable { let turns = Mutex<[Int]>([]) }

    /// Deputies that wait for their turn, and never give it back.
    private static func deputies(_ duty: CallDuty, _ threads: ClosedRange<Int>, _ log: Log) throws -> [KernelThread] {
        try threads.map { thread in
            try KernelThread.start(name: "deputy") {
                duty.awaitTurn(thread)
                log.turns.withLock { $0.append(thread) }
            }
        }
    }

    @Test func aThreadThatIsKeptIsRelieved() throws {
        let (duty, log) = (try CallDuty(threads: 2), Log())
        #expect(duty.isOnDuty(0))
        let threads = try Self.deputies(duty, 1...1, log)
        duty.begin(0)
        threads[0].join()
        #expect(duty.isOnDuty(1))
        #expect(!duty.isOnDuty(0))
        #expect(log.turns.withLock { $0 } == [1])
    }

    @Test func aThreadThatKeepsAnsweringStaysOnDuty() throws {
        let (duty, log) = (try CallDuty(threads: 2), Log())
        let threads = try Self.deputies(duty, 1...1, log)
        let end = KernelClock.monotonic + 30 * CallDuty.patience
        while KernelClock.monotonic < end {
            duty.begin(0)
            duty.end(0)
            #expect(duty.isOnDuty(0))
        }
        #expect(log.turns.withLock { $0 } == [])
        duty.begin(0)
        threads[0].join()
        #expect(duty.isOnDuty(1))
    }

    @Test func oneTakesOverAfterTheOther() throws {
        let (duty, log) = (try CallDuty(threads: 8), Log())
        let threads = try Self.deputies(duty, 1...7, log)
        for _ in 0..<7 {
            let current = (0..<8).first { duty.isOnDuty($0) }
            duty.begin(try #require(current))
            while current.map({ duty.isOnDuty($0) }) == true { usleep(500) }
        }
        for thread in threads { thread.join() }
        #expect(log.turns.withLock { $0.sorted() } == Array(1...7))
    }
}

import Glibc
import LinuxKernel
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(10)))
struct ThreadTests {
    @Test func namedThreadsBlockSignals() throws {
        let seen = Mutex<(name: String, blocked: UInt64, tid: Int32)?>(nil)
        let thread = try KernelThread.start(name: "a name longer than 15 bytes") {
            var buffer = InlineArray<8192, UInt8>(repeating: 0)
            let text = withUnsafeMutableBytes(of: &buffer) { raw in
                String(
                    decoding: raw.prefix(max(0, ProcFS.read(of: KernelThread.currentID, "status", into: raw))),
                    as: UTF8.self)
            }
            let mask = text.split(separator: "\n").first { $0.hasPrefix("SigBlk:\t") }?.dropFirst(8)
            let name = (try? ProcFS.status(of: KernelThread.currentID).comm.description) ?? ""
            seen.withLock { $0 = (name, mask.flatMap { UInt64($0, radix: 16) } ?? 0, KernelThread.currentID) }
        }
        thread.join()
        let result = try #require(seen.withLock { $0 })
        #expect(result.name == "a name longer t")
        #expect(result.blocked & (1 << UInt64(SIGTERM - 1)) != 0)
        #expect(result.blocked & (1 << UInt64(SIGUSR1 - 1)) != 0)
        #expect(result.tid != KernelThread.currentID)
    }

    @Test func affinity() throws {
        let outcome = Mutex<(before: [Int], after: [Int])>(([], []))
        let thread = try KernelThread.start(name: "pinned") {
            let before = (try? KernelThread.affinity()) ?? []
            try? KernelThread.setAffinity([before.last ?? 0])
            let after = (try? KernelThread.affinity()) ?? []
            outcome.withLock { $0 = (before, after) }
        }
        thread.join()
        let (before, after) = outcome.withLock { $0 }
        #expect(!before.isEmpty)
        #expect(after == [try #require(before.last)])
        #expect(throws: KernelError("sched_setaffinity", errno: EINVAL)) { try KernelThread.setAffinity([]) }
    }

    @Test(.enabled(if: isRoot))
    func realtimePriority() throws {
        let outcome = Mutex<(Int32, Int32)>((-1, -1))
        let thread = try KernelThread.start(name: "realtime") {
            try? KernelThread.setRealtimePriority(1)
            let policy = sched_getscheduler(0)
            try? KernelThread.setRealtimePriority(0)
            outcome.withLock { $0 = (policy, sched_getscheduler(0)) }
        }
        thread.join()
        // SCHED_FIFO | SCHED_RESET_ON_FORK, then SCHED_OTHER.
        #expect(outcome.withLock { $0 } == (0x4000_0001, 0))
    }

    @Test func clocksAdvance() {
        let before = KernelClock.monotonic
        #expect(KernelClock.monotonic >= before)
        #expect(KernelClock.wall > 1_700_000_000_000_000_000)
    }
}

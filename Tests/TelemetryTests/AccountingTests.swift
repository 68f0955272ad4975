import Foundation
import Synchronization
import Testing

@testable import Telemetry

@Suite("Accounting of alerts")
struct AccountingTests {
    private static let second: UInt64 = 1_000_000_000

    @Test func throttlingFollowsKubeArmorsSteps() {
        var throttle = AlertThrottle(
            settings: ThrottleSettings(maxAlertsPerSecond: 3, silenceSeconds: 10), rememberedKinds: 1)
        // One kind only, so that "first of its kind" passes once.
        var now = 100 * Self.second
        var passed = 0
        for _ in 0..<20 {
            if throttle.admit(.host, kind: 7, now: now).isEmitted { passed += 1 }
            now += 1_000_000
        }
        #expect(passed == 3)
        #expect(!throttle.admit(.host, kind: 7, now: 109 * Self.second).isEmitted)
        let decision = throttle.admit(.host, kind: 7, now: 111 * Self.second)
        #expect(decision.isEmitted)
        #expect(decision.suppressedBefore == 18)
    }

    @Test func theFirstOfEachKindAlwaysPasses() {
        var throttle = AlertThrottle(settings: ThrottleSettings(maxAlertsPerSecond: 1, silenceSeconds: 30))
        for kind in 0..<500 as Range<UInt64> {
            #expect(throttle.admit(.host, kind: kind, now: 5 * Self.second).isEmitted, "\(kind)")
        }
        #expect(!throttle.admit(.host, kind: 3, now: 5 * Self.second).isEmitted)
    }

    @Test func generatedIsEmittedAndSuppressedInEveryRun() {
        var state: UInt64 = 42
        func random(_ bound: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % bound
        }
        for _ in 0..<50 {
            var throttle = AlertThrottle(
                settings: ThrottleSettings(
                    maxAlertsPerSecond: Int32(1 + random(20)), silenceSeconds: Int32(random(10))), rememberedKinds: 8)
            var now: UInt64 = 1
            var emitted: UInt64 = 0
            var told: UInt64 = 0
            for _ in 0..<2000 {
                now += random(200_000_000)
                let decision = throttle.admit(.host, kind: random(20), now: now)
                if decision.isEmitted {
                    emitted += 1
                    told += decision.suppressedBefore
                }
            }
            told += throttle.takePending(now: .max).reduce(0) { $0 + $1.suppressed }
            #expect(emitted + told == 2000)
        }
    }

    @Test func aFullDiskLosesLinesAndCountsThem() throws {
        let descriptor = open("/dev/full", O_WRONLY)
        try #require(descriptor >= 0)
        let sink = DescriptorSink(descriptor: descriptor, ownsDescriptor: true)
        for _ in 0..<5 { sink.write(Array("line".utf8)) }
        #expect(sink.counters.written == 0)
        #expect(sink.counters.lost == 5)
        #expect(sink.counters.lastError == ENOSPC)
    }

    @Test func aFileThatGrewTooLargeIsReplaced() throws {
        let folder = NSTemporaryDirectory() + "portcullis-sink-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let number = Mutex(0)
        let openNext: @Sendable () -> Int32 = {
            let next = number.withLock {
                $0 += 1
                return $0
            }
            return open("\(folder)/\(next)", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        }
        let sink = DescriptorSink(
            descriptor: openNext(), ownsDescriptor: true, maximumBytes: 1000, onFull: { $0.adopt(openNext()) })
        for index in 0..<100 { sink.write(Array("line \(index) ".utf8) + [UInt8](repeating: 0x2E, count: 60)) }
        var lines: [String] = []
        for file in 1...number.withLock({ $0 }) {
            let text = try String(contentsOfFile: "\(folder)/\(file)", encoding: .utf8)
            #expect(text.utf8.count <= 1000)
            lines += text.split(separator: "\n").map(String.init)
        }
        #expect(number.withLock { $0 } > 5)
        #expect(lines.count == 100)
        for (index, line) in lines.enumerated() { #expect(line.hasPrefix("line \(index) ")) }
    }

    @Test func thePipelineBalances() {
        let counting = CountingSink()
        let pipeline = TelemetryPipeline(
            builder: AlertBuilder(node: NodeIdentity(hostName: "n", nodeID: "i")),
            throttle: AlertThrottle(settings: ThrottleSettings(maxAlertsPerSecond: 5)),
            queues: [SinkQueue(name: "count", sink: counting)])
        #expect(pipeline.start())
        let rule = RuleMetadata(policyName: "p", action: .block, isHostPolicy: true)
        for number in 0..<1000 {
            pipeline.process(AlertTests.event(.file, resource: Array("/f\(number % 7)".utf8)), rule: rule)
        }
        pipeline.stop()
        let ledger = pipeline.ledger
        #expect(ledger.generated == 1000)
        #expect(ledger.emitted + ledger.suppressed == 1000)
        #expect(ledger.emitted >= 7)
        #expect(ledger.isBalanced)
        #expect(counting.count == ledger.emitted + ledger.announcements)
    }

    @Test(.timeLimit(.minutes(10))) func aQueuesThreadCarriesItsName() throws {
        let queue = SinkQueue(name: "name-test", sink: CountingSink())
        #expect(queue.start())
        defer { queue.stop() }
        func names() throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").compactMap {
                try? String(contentsOfFile: "/proc/self/task/\($0)/comm", encoding: .utf8)
            }
        }
        // The thread names itself, some time after it was started.
        while try !names().contains("sink-name-test\n"), !Task.isCancelled { sched_yield() }
        #expect(try names().contains("sink-name-test\n"))
    }

    private final class CountingSink: AlertSink {
        private let lines = Mutex<UInt64>(0)
        var count: UInt64 { lines.withLock { $0 } }
        func write(_ line: [UInt8]) { lines.withLock { $0 += 1 } }
        func flush() -> Bool { true }
        var counters: SinkCounters {
            var counters = SinkCounters()
            counters.written = count
            return counters
        }
    }
}

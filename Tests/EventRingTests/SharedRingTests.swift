import Testing

@testable import EventRing

@Suite final class SharedRingTests {
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: SharedRing.maximumRecord, alignment: 16)

    deinit {
        buffer.deallocate()
    }

    private func write(_ text: String, to producer: inout RingProducer) -> RingPush {
        var text = text
        return text.withUTF8 { producer.write(UnsafeRawBufferPointer($0)) }
    }

    private func text(_ length: Int) -> String {
        String(decoding: buffer[..<length], as: UTF8.self)
    }

    @Test func layoutLimits() throws {
        #expect(SharedRing.requiredSize(lanes: 0, laneBytes: 16 << 10) == nil)
        #expect(SharedRing.requiredSize(lanes: -1, laneBytes: 16 << 10) == nil)
        #expect(SharedRing.requiredSize(lanes: SharedRing.maximumLanes + 1, laneBytes: 16 << 10) == nil)
        #expect(SharedRing.requiredSize(lanes: 1, laneBytes: 20000) == nil)
        let size = try #require(SharedRing.requiredSize(lanes: 2, laneBytes: 16 << 10))
        let region = try MappedRegion(size: size)
        #expect(throws: RingError.notFormatted) { try region.ring() }
        #expect(throws: RingError.invalidLayout) {
            try SharedRing(formatting: region.base, size: size - 1, lanes: 2, laneBytes: 16 << 10)
        }
        _ = try SharedRing(formatting: region.base, size: size, lanes: 2, laneBytes: 16 << 10)
        #expect(throws: RingError.corruptLayout) { try SharedRing(attaching: region.base, size: size - 1) }
        #expect(try region.ring().statistics.lanes == 2)
    }

    @Test func recordsComeInOrderAndLanesReturn() throws {
        let region = try MappedRegion(lanes: 1)
        let ring = try region.ring()
        var consumer = RingConsumer(ring: ring)
        checkEqual(consumer.next(into: buffer), .empty)
        do {
            var producer = try RingProducer(ring: ring, owner: 1)
            #expect(throws: RingError.noFreeLane) { _ = try RingProducer(ring: ring, owner: 2) }
            checkEqual(write("one", to: &producer), RingPush(isWritten: true, mustWakeConsumer: false))
            check(write("three", to: &producer).isWritten)
        }
        #expect(ring.statistics.claimedLanes == 0)
        var producer = try RingProducer(ring: ring, owner: 2)
        check(write("two", to: &producer).isWritten)
        for expected in ["one", "three", "two"] {
            checkEqual(consumer.next(into: buffer), .record(length: expected.utf8.count, lane: 0))
            #expect(text(expected.utf8.count) == expected)
        }
        checkEqual(consumer.next(into: buffer), .empty)
        #expect(throws: RingError.invalidLayout) { _ = try RingProducer(ring: ring, owner: 0) }
    }

    @Test func everyLossIsReported() throws {
        let region = try MappedRegion(lanes: 2)
        let ring = try region.ring()
        var consumer = RingConsumer(ring: ring)
        var producer = try RingProducer(ring: ring, owner: 1)
        let record = UnsafeRawBufferPointer(buffer)
        for _ in 0..<10 { _ = producer.write(record) }
        _ = producer.write(UnsafeRawBufferPointer(start: nil, count: 0))
        producer.countDropped()
        var records: UInt64 = 0
        var lost: UInt64 = 0
        reading: while true {
            switch consumer.next(into: buffer) {
            case .record(let length, _):
                #expect(length == SharedRing.maximumRecord)
                records += 1
            case .lost(let count, _): lost += count
            case .empty: break reading
            case let other: Issue.record("\(other)")
            }
        }
        #expect(records == 1)
        #expect(records + lost == 12)
        #expect(consumer.totals == RingTotals(records: records, lost: lost, corrupt: 0))
        let statistics = ring.statistics
        #expect(statistics.attempts == 12 && statistics.commits == records && statistics.dropped == lost)
    }

    @Test func deadProducersReservationIsLostAndNothingElse() throws {
        let region = try MappedRegion(lanes: 2)
        let ring = try region.ring()
        var consumer = RingConsumer(ring: ring)
        var dead = try RingProducer(ring: ring, owner: 1)
        var other = try RingProducer(ring: ring, owner: 2)
        check(write("kept", to: &dead).isWritten)
        let isReserved = dead.reserveWithoutCommit(length: 100)
        #expect(isReserved)
        check(write("not held up", to: &other).isWritten)
        checkEqual(consumer.next(into: buffer), .record(length: 4, lane: 0))
        checkEqual(consumer.next(into: buffer), .record(length: 11, lane: 1))
        checkEqual(consumer.next(into: buffer), .empty)
        #expect(throws: RingError.system(22)) { try ring.abandon(owner: 1, by: 1, pidfd: nil) }
        #expect(try ring.abandon(owner: 1, by: 3, pidfd: nil) == 1)
        checkEqual(consumer.next(into: buffer), .lost(count: 1, lane: 0))
        #expect(ring.statistics.claimedLanes == 1)
        // The value outlived its lane: giving it back must not touch the lane's next owner.
        let heir = try RingProducer(ring: ring, owner: 4)
        _ = consume dead
        #expect(ring.statistics.claimedLanes == 2 && ring.statistics.dropped == 1)
        _ = consume heir
    }

    @Test func onlyASleepingConsumerIsWokenAndOnlyOnce() throws {
        let region = try MappedRegion(lanes: 2)
        let ring = try region.ring()
        var consumer = RingConsumer(ring: ring)
        var first = try RingProducer(ring: ring, owner: 1)
        var second = try RingProducer(ring: ring, owner: 1)
        check(consumer.prepareToWait())
        check(write("a", to: &first).mustWakeConsumer)
        check(!write("b", to: &second).mustWakeConsumer)
        check(!consumer.prepareToWait())
        check(!write("c", to: &first).mustWakeConsumer)
        for _ in 0..<3 { _ = consumer.next(into: buffer) }
        check(consumer.prepareToWait())
        consumer.finishWaiting()
        check(!write("d", to: &first).mustWakeConsumer)
    }

    @Test func shortBufferLeavesTheRecord() throws {
        let region = try MappedRegion(lanes: 1)
        let ring = try region.ring()
        var consumer = RingConsumer(ring: ring)
        var producer = try RingProducer(ring: ring, owner: 1)
        check(write("record", to: &producer).isWritten)
        checkEqual(consumer.next(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<5])), .tooLong(length: 6))
        checkEqual(consumer.next(into: buffer), .record(length: 6, lane: 0))
    }
}

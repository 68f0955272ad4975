import Testing

@testable import EventRing

@Suite final class EventReaderTests {
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: EventWriter.maximumRecord, alignment: 16)

    deinit {
        buffer.deallocate()
    }

    @Test func twoRingsOneWriter() throws {
        let alerts = try MappedRegion(lanes: 1)
        let others = try MappedRegion(lanes: 1, laneBytes: 64 << 10)
        var writer = try EventWriter(buffer: buffer)
        var toAlerts = try RingProducer(ring: alerts.ring(), owner: 1)
        var toOthers = try RingProducer(ring: others.ring(), owner: 1)
        var alertReader = EventReader(ring: try alerts.ring())
        var otherReader = EventReader(ring: try others.ring())
        let block = EventHeader(kind: .verdict, category: .process, effect: .block, mechanism: .fanotify)
        let audit = EventHeader(kind: .verdict, category: .file, effect: .audit, mechanism: .seccomp)
        check(writer.push(audit, EventFields(), to: &toOthers).isWritten)
        check(writer.push(block, EventFields(), to: &toAlerts).isWritten)
        guard case .event(let first) = alertReader.next(), case .event(let second) = otherReader.next() else {
            Issue.record("no events")
            return
        }
        #expect(first.header.effect == .block && first.header.sequence == 2)
        #expect(second.header.effect == .audit && second.header.sequence == 1)
        check(alertReader.next() == .empty && otherReader.next() == .empty)
    }

    @Test func aFloodOfAuditsLosesNoAlert() throws {
        let alerts = try MappedRegion(lanes: 1)
        let others = try MappedRegion(lanes: 1)
        var writer = try EventWriter(buffer: buffer)
        var toAlerts = try RingProducer(ring: alerts.ring(), owner: 1)
        var toOthers = try RingProducer(ring: others.ring(), owner: 1)
        let block = EventHeader(kind: .verdict, category: .process, effect: .block, mechanism: .fanotify)
        let audit = EventHeader(kind: .verdict, category: .file, effect: .audit, mechanism: .fanotify)
        for index in 0..<5000 {
            _ = writer.push(audit, EventFields(), to: &toOthers)
            if index % 100 == 0 { check(writer.push(block, EventFields(), to: &toAlerts).isWritten) }
        }
        var reader = EventReader(ring: try others.ring())
        var seen: UInt64 = 0
        while case let reading = reader.next(), reading != .empty {
            switch reading {
            case .event: seen += 1
            case .lost(let count): seen += count
            default: Issue.record("\(reading)")
            }
        }
        #expect(seen == 5000 && reader.totals.lost > 0)
        #expect(try alerts.ring().statistics.commits == 50)
    }

    @Test func recordsThatAreNoEventsAreCounted() throws {
        let region = try MappedRegion(lanes: 1)
        let ring = try region.ring()
        var producer = try RingProducer(ring: ring, owner: 1)
        var reader = EventReader(ring: ring)
        check(producer.write(UnsafeRawBufferPointer(rebasing: buffer[..<10])).isWritten)
        checkEqual(reader.next(), .invalid(.size(10)))
        #expect(reader.invalid == 1 && reader.totals.records == 1)
        checkEqual(reader.next(), .empty)
    }

    /// A region overwritten by whoever else maps it: readings stay bounded and end.
    @Test func damagedRegionRunsDry() throws {
        var generator = SplitMix64(state: 3)
        let region = try MappedRegion(lanes: 2)
        for _ in 0..<200 {
            let ring = try SharedRing(formatting: region.base, size: region.size, lanes: 2, laneBytes: 16 << 10)
            var writer = try EventWriter(buffer: buffer)
            var producer = try RingProducer(ring: ring, owner: 1)
            var reader = EventReader(ring: ring)
            let header = EventHeader(kind: .notice, category: .process, effect: .allow, mechanism: .none)
            for _ in 0..<50 { _ = writer.push(header, EventFields(), to: &producer) }
            for _ in 0..<64 {
                let offset = Int(generator.next() % UInt64(region.size / 8)) * 8
                region.base.storeBytes(of: generator.next(), toByteOffset: offset, as: UInt64.self)
            }
            var readings = 0
            while reader.next() != .empty, readings < 10000 { readings += 1 }
            #expect(readings < 10000)
        }
    }
}

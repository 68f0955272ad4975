import CEventRing
import Testing

@testable import EventRing

@Suite final class EventRecordTests {
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: EventWriter.maximumRecord, alignment: 16)

    deinit {
        buffer.deallocate()
    }

    private func bytes(_ field: EventField, count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ field.rawValue) }
    }

    /// Builds a record whose fields have the given lengths.
    private func record(
        _ header: EventHeader, _ counts: [EventField: Int], with writer: inout EventWriter
    ) -> [UInt8] {
        let contents = EventField.allCases.map { bytes($0, count: counts[$0] ?? 0) }
        let storage = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(1, contents.reduce(0) { $0 + $1.count }), alignment: 1)
        defer { storage.deallocate() }
        var fields = EventFields()
        var start = 0
        for field in EventField.allCases {
            let content = contents[field.rawValue]
            let part = UnsafeMutableRawBufferPointer(rebasing: storage[start..<start + content.count])
            part.copyBytes(from: content)
            fields[field] = UnsafeRawBufferPointer(part)
            start += content.count
        }
        return Array(writer.build(header, fields))
    }

    private func decode(_ bytes: [UInt8]) throws(EventRecordError) -> EventRecord {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, bytes.count), alignment: 16)
        defer { copy.deallocate() }
        copy.copyBytes(from: bytes)
        return try EventRecord(decoding: UnsafeRawBufferPointer(rebasing: copy[..<bytes.count]))
    }

    private var header: EventHeader {
        var header = EventHeader(kind: .verdict, category: .file, effect: .block, mechanism: .fanotify)
        header.flags = [.matchedByObject, EventFlags(rawValue: 1 << 31)]
        header.ruleID = 0x0102_0304
        header.generation = 0x1112_1314_1516_1718
        header.wallClock = 1_700_000_000_123_456_789
        header.hostPID = 4_000_000
        header.hostPPID = -1
        header.tid = 4_000_001
        header.uid = .max
        header.oid = 1000
        header.syscall = 257
        header.openFlags = 0o100001
        header.noticeCode = 9
        return header
    }

    @Test func everyFieldSurvives() throws {
        var writer = try EventWriter(buffer: buffer)
        var counts: [EventField: Int] = [:]
        for field in EventField.allCases { counts[field] = 10 + field.rawValue }
        let decoded = try decode(record(header, counts, with: &writer))
        var expected = header
        expected.sequence = 1
        #expect(decoded.header == expected)
        #expect(decoded.resource == bytes(.resource, count: 10))
        #expect(decoded.requestedPath == bytes(.requestedPath, count: 11))
        #expect(decoded.executable == bytes(.executable, count: 12))
        #expect(decoded.parentExecutable == bytes(.parentExecutable, count: 13))
        #expect(decoded.workingDirectory == bytes(.workingDirectory, count: 14))
        #expect(decoded.terminal == bytes(.terminal, count: 15))
        #expect(decoded.threadName == bytes(.threadName, count: 16))
        #expect(decoded.arguments == bytes(.arguments, count: 17))
        #expect(decoded.message == bytes(.message, count: 18))
    }

    @Test func writerNumbersRecords() throws {
        var writer = try EventWriter(buffer: buffer)
        for expected in UInt64(1)...3 {
            #expect(try decode(record(header, [:], with: &writer)).header.sequence == expected)
        }
        var loss = EventHeader(kind: .loss, category: .process, effect: .allow, mechanism: .none)
        loss.sequence = 77
        #expect(try decode(record(loss, [:], with: &writer)).header.sequence == 77)
        #expect(writer.sequence == 4)
    }

    @Test func argumentsAreCutFirst() throws {
        var writer = try EventWriter(buffer: buffer)
        let exact = record(header, [.resource: 4096, .arguments: 4000], with: &writer)
        #expect(exact.count == EventWriter.maximumRecord)
        #expect(try !decode(exact).header.flags.contains(.truncated))

        let over = try decode(record(header, [.resource: 4096, .arguments: 4001], with: &writer))
        #expect(over.header.flags.contains(.truncated))
        #expect(over.resource == bytes(.resource, count: 4096))
        #expect(over.arguments == bytes(.arguments, count: 4000))
    }

    @Test func thenTheLongest() throws {
        var writer = try EventWriter(buffer: buffer)
        let counts: [EventField: Int] = [
            .resource: 4096, .requestedPath: 4096, .executable: 100, .arguments: 131_072, .message: 70000,
        ]
        let bytes = record(header, counts, with: &writer)
        let decoded = try decode(bytes)
        #expect(decoded.header.flags.contains(.truncated))
        #expect(decoded.arguments.isEmpty)
        #expect(decoded.executable == self.bytes(.executable, count: 100))
        // (8192 - 96 - 100) / 3
        #expect(decoded.resource == self.bytes(.resource, count: 2665))
        #expect(decoded.requestedPath == self.bytes(.requestedPath, count: 2665))
        #expect(decoded.message == self.bytes(.message, count: 2665))
    }

    @Test func nonsenseHasATypedError() throws {
        var writer = try EventWriter(buffer: buffer)
        let good = record(header, [.resource: 5], with: &writer)
        func error(_ change: (inout [UInt8]) -> Void) -> EventRecordError? {
            var bytes = good
            change(&bytes)
            do throws(EventRecordError) {
                _ = try decode(bytes)
                return nil
            } catch {
                return error
            }
        }
        #expect(error { _ in } == nil)
        #expect(error { $0 = [] } == .size(0))
        #expect(error { $0.removeLast($0.count - 95) } == .size(95))
        #expect(error { $0 = Array(repeating: 0, count: 8193) } == .size(8193))
        #expect(error { $0[0] = 3 } == .version(3))
        #expect(error { $0[2] = 95 } == .headerSize(95))
        #expect(error { $0[4] = 5 } == .value(field: "kind", 5))
        #expect(error { $0[4] = 0 } == .value(field: "kind", 0))
        #expect(error { $0[5] = 7 } == .value(field: "category", 7))
        #expect(error { $0[6] = 3 } == .value(field: "effect", 3))
        #expect(error { $0[7] = 4 } == .value(field: "mechanism", 4))
        #expect(error { $0[95] = 1 } == .reserved)
        #expect(error { $0.removeLast() } == .lengths(sum: 5, available: 4))
        #expect(error { $0.append(0) } == .lengths(sum: 5, available: 6))
        for index in 0..<EventField.count {
            let offset = Int(PC_EVENT_LENGTH_OFFSET) + 2 * index
            let sum = (index == 0 ? 0 : 5) + 0xffff
            #expect(
                error {
                    $0[offset] = 0xff
                    $0[offset + 1] = 0xff
                } == .lengths(sum: sum, available: 5))
        }
    }

    /// Whatever bytes come: a typed error or a record that encodes to the same bytes again.
    @Test func damagedRecordsAreRefusedOrWhole() throws {
        var generator = SplitMix64(state: 7)
        var refused = 0
        for _ in 0..<20000 {
            var writer = try EventWriter(buffer: buffer)
            var counts: [EventField: Int] = [:]
            for field in EventField.allCases { counts[field] = Int(generator.next() % 40) }
            var bytes = record(header, counts, with: &writer)
            for _ in 0..<Int(generator.next() % 4) {
                bytes[Int(generator.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: generator.next())
            }
            if generator.next() % 8 == 0 { bytes.removeLast(Int(generator.next() % 200) % bytes.count) }
            do throws(EventRecordError) {
                let decoded = try decode(bytes)
                let sum =
                    decoded.resource.count + decoded.requestedPath.count + decoded.executable.count
                    + decoded.parentExecutable.count + decoded.workingDirectory.count + decoded.terminal.count
                    + decoded.threadName.count + decoded.arguments.count + decoded.message.count
                #expect(sum + 96 == bytes.count)
            } catch {
                refused += 1
            }
        }
        #expect(refused > 2000)
    }

    @Test func argumentListSplitsAtNUL() throws {
        var writer = try EventWriter(buffer: buffer)
        func list(_ text: String) throws -> [String] {
            var decoded = try decode(record(header, [:], with: &writer))
            decoded.arguments = Array(text.utf8)
            return decoded.argumentList.map { String(decoding: $0, as: UTF8.self) }
        }
        #expect(try list("") == [])
        #expect(try list("ls") == ["ls"])
        #expect(try list("ls\0-l\0") == ["ls", "-l"])
        #expect(try list("sh\0\0x") == ["sh", "", "x"])
        #expect(try list("sh\0\0") == ["sh", ""])
    }

    @Test func writerWantsAWholeAlignedBuffer() {
        let short = UnsafeMutableRawBufferPointer(rebasing: buffer[..<8191])
        #expect(throws: RingError.bufferTooSmall) { _ = try EventWriter(buffer: short) }
        let large = UnsafeMutableRawBufferPointer.allocate(byteCount: 8200, alignment: 16)
        defer { large.deallocate() }
        #expect(throws: RingError.bufferTooSmall) {
            _ = try EventWriter(buffer: UnsafeMutableRawBufferPointer(rebasing: large[1...]))
        }
    }
}

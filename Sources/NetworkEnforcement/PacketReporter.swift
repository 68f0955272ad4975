import EventRing
import FileEnforcement
import LinuxKernel

/// Writes the records of reported packets. Belongs to one thread.
public final class PacketReporter: @unchecked Sendable {
    // Unchecked: see above.
    private var blockRing: RingProducer
    private var eventRing: RingProducer
    private let wake: Int32
    private var writer: EventWriter

    /// - Parameters:
    ///   - owner: this thread's number in the rings; never used again by another thread or process.
    ///   - wake: eventfd of the consumer.
    public init(blockRing: SharedRing, eventRing: SharedRing, owner: UInt64, wake: Int32) throws(RingError) {
        self.blockRing = try RingProducer(ring: blockRing, owner: owner)
        self.eventRing = try RingProducer(ring: eventRing, owner: owner)
        // Lives as long as the thread, which is as long as the process.
        writer = try EventWriter(buffer: .allocate(byteCount: EventWriter.maximumRecord, alignment: 8))
        self.wake = wake
    }

    /// Reports the first packet of a flow.
    func report(_ flow: PacketFlow, _ tag: PacketTag, uid: UInt32?, container: UInt32, _ board: StatusBoard) {
        let isBlock = tag.blocks
        var header = EventHeader(
            kind: .verdict, category: .packet, effect: isBlock ? .block : .audit, mechanism: .nftables)
        header.ruleID = tag.rule
        header.generation = tag.generation
        header.wallClock = KernelClock.wall
        header.uid = uid ?? 0
        header.container = container
        withUnsafeTemporaryAllocation(byteCount: PacketFlow.size, alignment: 8) { bytes in
            flow.write(to: bytes)
            var fields = EventFields()
            fields[.resource] = UnsafeRawBufferPointer(bytes)
            publish(header, fields, isBlock: isBlock, board)
        }
    }

    /// Reports a query for a name.
    func report(
        _ finding: NameRules.Finding, _ flow: PacketFlow, _ tag: PacketTag, uid: UInt32?, container: UInt32,
        _ board: StatusBoard
    ) {
        var header = EventHeader(
            kind: .verdict, category: .dns, effect: tag.blocks ? .block : .audit, mechanism: .nftables)
        if finding.isForbidden, !tag.blocks { header.flags = [.unenforced] }
        header.ruleID = finding.rule.rawValue
        header.generation = tag.generation
        header.wallClock = KernelClock.wall
        header.uid = uid ?? 0
        header.container = container
        withUnsafeTemporaryAllocation(byteCount: PacketQuery.size, alignment: 8) { bytes in
            PacketQuery(flow: flow, type: finding.type).write(to: bytes)
            finding.name.withUnsafeBytes { name in
                var fields = EventFields()
                fields[.resource] = name
                fields[.message] = UnsafeRawBufferPointer(bytes)
                publish(header, fields, isBlock: tag.blocks, board)
            }
        }
    }

    /// Reports what went wrong; `process` did it, if that is known.
    func report(
        _ row: FailureRow, process: Int32, name: String, generation: UInt64, container: UInt32, _ board: StatusBoard
    ) {
        board.count(row)
        var header = EventHeader(kind: .verdict, category: .packet, effect: .audit, mechanism: .nftables)
        header.flags = [.failurePolicy]
        header.noticeCode = UInt32(row.rawValue)
        header.generation = generation
        header.wallClock = KernelClock.wall
        header.hostPID = process
        header.container = container
        var text = name
        text.withUTF8 { name in
            var fields = EventFields()
            fields[.threadName] = UnsafeRawBufferPointer(name)
            publish(header, fields, isBlock: false, board)
        }
    }

    private func publish(_ header: EventHeader, _ fields: EventFields, isBlock: Bool, _ board: StatusBoard) {
        let push =
            isBlock ? writer.push(header, fields, to: &blockRing) : writer.push(header, fields, to: &eventRing)
        if !push.isWritten { board.add(isBlock ? .blockRecordsLost : .eventRecordsLost) }
        if push.mustWakeConsumer { EventDescriptor.signal(wake) }
    }
}

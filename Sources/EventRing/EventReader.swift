/// Reads events from one ring: a consumer, its buffer, and the count of what was not an event.
///
/// Unchecked: the value has one owner and reads need exclusive access, so it may move between threads.
public struct EventReader: ~Copyable, @unchecked Sendable {
    /// What comes next.
    public enum Reading: Sendable, Equatable {
        /// Nothing at the moment.
        case empty
        /// An event.
        case event(EventRecord)
        /// This many records were lost here.
        case lost(UInt64)
        /// The ring held nonsense.
        case corrupt
        /// A record that is no event.
        case invalid(EventRecordError)
    }

    private var consumer: RingConsumer
    private let buffer: UnsafeMutableRawBufferPointer
    /// Records that were no events.
    public private(set) var invalid: UInt64 = 0

    /// Becomes the ring's only consumer.
    public init(ring: SharedRing) {
        consumer = RingConsumer(ring: ring)
        buffer = .allocate(byteCount: SharedRing.maximumRecord, alignment: 16)
    }

    deinit {
        buffer.deallocate()
    }

    /// Takes the next item.
    public mutating func next() -> Reading {
        switch consumer.next(into: buffer) {
        case .empty: return .empty
        case .lost(let count, _): return .lost(count)
        case .corrupt: return .corrupt
        case .tooLong(let length): return invalid(.size(length))
        case .record(let length, _):
            do throws(EventRecordError) {
                return .event(try EventRecord(decoding: UnsafeRawBufferPointer(rebasing: buffer[..<length])))
            } catch {
                return invalid(error)
            }
        }
    }

    /// See `RingConsumer.prepareToWait`.
    public mutating func prepareToWait() -> Bool { consumer.prepareToWait() }

    /// See `RingConsumer.finishWaiting`.
    public mutating func finishWaiting() { consumer.finishWaiting() }

    /// Totals of the ring's consumer.
    public var totals: RingTotals { consumer.totals }

    private mutating func invalid(_ error: EventRecordError) -> Reading {
        invalid += 1
        return .invalid(error)
    }
}

import Glibc

/// How large a spool may become.
public struct SpoolLimits: Sendable, Hashable {
    /// Bytes of all segments together; the oldest goes when another would be more than that.
    public var totalBytes: UInt64
    /// Bytes after which a segment is followed by another.
    public var segmentBytes: UInt64

    /// Limits; a spool has room for two segments at least.
    public init(totalBytes: UInt64 = 64 << 20, segmentBytes: UInt64 = 2 << 20) {
        self.segmentBytes = max(4096, min(segmentBytes, totalBytes / 2))
        self.totalBytes = max(totalBytes, 2 * self.segmentBytes)
    }
}

/// What became of the records given to a writer: `written + lost + waiting` is their number.
public struct SpoolCounters: Sendable, Hashable {
    /// Records handed to the kernel.
    public var written: UInt64 = 0
    /// Records that could not be written. Their numbers are not given to others, so readers see that they are missing.
    public var lost: UInt64 = 0
    /// Records in memory until `flush`.
    public var waiting: UInt64 = 0
    /// Segments removed to stay within the limit.
    public var removedSegments: UInt64 = 0
    /// errno of the last failure, 0 without one.
    public var lastError: Int32 = 0

    /// Counters at zero.
    public init() {}
}

/// Appends to a spool. There is one writer of a directory; readers find out by themselves.
///
/// A full or read-only filesystem costs records, which are counted, and never time: writing is tried once for each `flush`,
/// after the oldest segment was given up for the room it has.
public struct SpoolWriter: ~Copyable, Sendable {
    private let directory: SpoolDirectory
    private let limits: SpoolLimits
    private let wallClock: @Sendable () -> UInt64
    /// Numbers and sizes of the segments there are, oldest first; the last one is being written.
    private var segments: [(number: UInt64, size: UInt64)] = []
    private var file: Int32 = -1
    private var number: UInt64
    private var next: SpoolNumbers
    private var buffer: [UInt8] = []
    private static let bufferLimit = 64 << 10
    /// What became of the records so far.
    public private(set) var counters = SpoolCounters()
    /// Names this spool; see `SpoolReader.spool`.
    public let spool: UInt64

    /// Continues the spool in a directory, or begins one there. Nothing is written before the first record.
    public init(
        directory path: String, limits: SpoolLimits = SpoolLimits(),
        wallClock: @escaping @Sendable () -> UInt64 = Self.realTime
    ) throws(SpoolError) {
        directory = try SpoolDirectory(path: path)
        self.limits = limits
        self.wallClock = wallClock
        var last: SpoolFormat.Header?
        for number in directory.segments() {
            guard let header = directory.header(number) else {
                // Begun and never written, or not ours any more: nothing a reader could use.
                directory.remove(number)
                continue
            }
            // After a change of spools only the newest counts.
            if let before = last, before.spool != header.spool {
                for old in segments { directory.remove(old.number) }
                segments = []
            }
            segments.append((number, directory.size(number)))
            last = header
        }
        if let last {
            spool = last.spool
            number = last.number + 1
            next = SpoolReader.numbers(behind: last, in: directory)
        } else {
            spool = UInt64.random(in: 1...UInt64.max)
            number = 1
            next = SpoolNumbers()
        }
        buffer.reserveCapacity(Self.bufferLimit + 4096)
    }

    deinit { if file >= 0 { close(file) } }

    /// CLOCK_REALTIME in nanoseconds.
    @Sendable public static func realTime() -> UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return UInt64(now.tv_sec) &* 1_000_000_000 &+ UInt64(now.tv_nsec)
    }

    /// Numbers that the next records get.
    public var nextNumbers: SpoolNumbers { next }

    /// Takes a record; it is with the kernel after `flush`.
    ///
    /// - Returns: its number.
    @discardableResult
    public mutating func append(_ kind: SpoolKind, _ payload: [UInt8]) -> UInt64 {
        let sequence = next[kind]
        next[kind] = sequence + 1
        guard payload.count <= SpoolFormat.payloadLimit else {
            counters.lost += 1
            counters.lastError = EMSGSIZE
            return sequence
        }
        SpoolFormat.append(kind, sequence, time: wallClock(), payload, to: &buffer)
        counters.waiting += 1
        if buffer.count >= Self.bufferLimit { flush() }
        return sequence
    }

    /// Hands what waits to the kernel. False when it is lost.
    @discardableResult
    public mutating func flush() -> Bool {
        guard !buffer.isEmpty else { return true }
        defer {
            buffer.removeAll(keepingCapacity: true)
            counters.waiting = 0
        }
        if file >= 0, let last = segments.last, last.size + UInt64(buffer.count) > limits.segmentBytes,
            last.size > UInt64(SpoolFormat.headerBytes)
        {
            endSegment()
        }
        if write() {
            counters.written += counters.waiting
            return true
        }
        // What the oldest segment holds gives way to what is new; of two segments one is always the readers'.
        if counters.lastError == ENOSPC || counters.lastError == EDQUOT, segments.count > 1 {
            removeOldest()
            if write() {
                counters.written += counters.waiting
                return true
            }
        }
        counters.lost += counters.waiting
        return false
    }

    /// Writes the buffer into the current segment, or into a new one; whole or not at all.
    private mutating func write() -> Bool {
        guard file >= 0 || beginSegment() else { return false }
        let before = segments[segments.count - 1].size
        var offset = 0
        while offset < buffer.count {
            let count = buffer.withUnsafeBytes { raw in
                let rest = UnsafeRawBufferPointer(rebasing: raw[offset...])
                return Glibc.write(file, rest.baseAddress, rest.count)
            }
            if count > 0 {
                offset += count
            } else if count < 0, errno == EINTR {
                continue
            } else {
                counters.lastError = count < 0 ? errno : EIO
                // Readers stop at a record that is not whole, so nothing may follow one.
                if offset > 0, ftruncate(file, off_t(before)) != 0 {
                    segments[segments.count - 1].size += UInt64(offset)
                }
                endSegment()
                return false
            }
        }
        segments[segments.count - 1].size = before + UInt64(offset)
        return true
    }

    private mutating func beginSegment() -> Bool {
        while segments.count > 0,
            segments.reduce(limits.segmentBytes, { $0 + $1.size }) > limits.totalBytes
        { removeOldest() }
        var made = directory.create(number)
        while made == -EEXIST {
            // Left behind by a writer that could not say what it was.
            number += 1
            made = directory.create(number)
        }
        guard made >= 0 else {
            counters.lastError = -made
            return false
        }
        var first = next
        // What waits was numbered already.
        var offset = 0
        var seen = Set<SpoolKind>()
        buffer.withUnsafeBytes { raw in
            while offset < raw.count, seen.count < SpoolKind.allCases.count,
                case .record(let kind, let sequence, _, let payload) = SpoolFormat.piece(raw, at: offset)
            {
                if seen.insert(kind).inserted { first[kind] = sequence }
                offset = payload.upperBound
            }
        }
        let header = SpoolFormat.Header(spool: spool, number: number, next: first, time: wallClock()).bytes
        let count = header.withUnsafeBytes { Glibc.write(made, $0.baseAddress, $0.count) }
        guard count == header.count else {
            counters.lastError = count < 0 ? errno : ENOSPC
            close(made)
            directory.remove(number)
            return false
        }
        file = made
        segments.append((number, UInt64(header.count)))
        number += 1
        return true
    }

    private mutating func endSegment() {
        guard file >= 0 else { return }
        close(file)
        file = -1
    }

    private mutating func removeOldest() {
        let oldest = segments.removeFirst()
        directory.remove(oldest.number)
        counters.removedSegments += 1
        if segments.isEmpty { endSegment() }
    }
}

import Glibc

/// Where a reader begins, for one kind of records.
public enum SpoolStart: Sendable, Hashable {
    /// With the next record that is made.
    case now
    /// Behind a record; 0 is before the first.
    case after(UInt64)
}

/// Reads a spool from a place of its own, without the writer's knowing. Several may read one directory.
///
/// A reader that is slower than the writer loses what the writer removes, and is told how much: every record says how many of
/// its kind before it the reader did not get.
public struct SpoolReader: ~Copyable, Sendable {
    /// A record as a reader gets it.
    public struct Record {
        /// The spool that the number counts in.
        public let spool: UInt64
        /// Its kind.
        public let kind: SpoolKind
        /// Its number.
        public let sequence: UInt64
        /// Records of its kind that should have come since the one before and are gone.
        public let missed: UInt64
        /// CLOCK_REALTIME nanoseconds at which it was written.
        public let time: UInt64
        /// Its contents; valid only during the call.
        public let payload: UnsafeRawBufferPointer

        /// Creates a record.
        public init(
            spool: UInt64, kind: SpoolKind, sequence: UInt64, missed: UInt64, time: UInt64,
            payload: UnsafeRawBufferPointer
        ) {
            self.spool = spool
            self.kind = kind
            self.sequence = sequence
            self.missed = missed
            self.time = time
            self.payload = payload
        }
    }

    /// What a call of `read` came to.
    public enum Progress: Sendable, Hashable {
        /// Records were given out, this many.
        case records(Int)
        /// Nothing that is wanted, and there may be more.
        case skipped
        /// Nothing more at the moment.
        case atEnd
    }

    private let directory: SpoolDirectory
    private let wanted: Set<SpoolKind>
    /// What has to come next of each kind.
    private var next = SpoolNumbers()
    private var file: Int32 = -1
    private var number: UInt64 = 0
    private var offset = SpoolFormat.headerBytes
    private var buffer: [UInt8]
    /// Bytes that are read at once.
    public static let chunk = 256 << 10
    /// Names the spool that is being read; 0 while there is none.
    public private(set) var spool: UInt64 = 0

    /// Opens a directory. There need not be a spool in it yet.
    ///
    /// - Parameters:
    ///   - starts: the kinds that are wanted, and where to begin.
    ///   - expecting: the spool that numbers in `starts` are of; in another one they mean nothing, and those kinds begin with
    ///     the oldest record.
    ///   - chunk: bytes that are read at once, more for a record that is longer.
    public init(
        directory path: String, from starts: [SpoolKind: SpoolStart], expecting: UInt64? = nil, chunk: Int = Self.chunk
    ) throws(SpoolError) {
        try self.init(try SpoolDirectory(path: path), starts, expecting, chunk)
    }

    /// The same of a directory that is open already; it may be closed afterwards.
    public init(
        descriptor: Int32, from starts: [SpoolKind: SpoolStart], expecting: UInt64? = nil, chunk: Int = Self.chunk
    ) throws(SpoolError) {
        try self.init(try SpoolDirectory(descriptor: descriptor), starts, expecting, chunk)
    }

    private init(
        _ directory: consuming SpoolDirectory, _ starts: [SpoolKind: SpoolStart], _ expecting: UInt64?,
        _ chunk: Int
    ) throws(SpoolError) {
        self.directory = directory
        wanted = Set(starts.keys)
        buffer = [UInt8](repeating: 0, count: chunk)
        let segments = self.directory.segments()
        var newest: SpoolFormat.Header?
        for number in segments.reversed() where newest == nil { newest = self.directory.header(number) }
        guard let newest else { return }
        spool = newest.spool
        let tail = Self.numbers(behind: newest, in: self.directory)
        for (kind, start) in starts {
            switch start {
            case .now: next[kind] = tail[kind]
            case .after(let last):
                let isSame = expecting == nil || expecting == spool
                next[kind] = isSame ? min(last, tail[kind] - 1) + 1 : 1
            }
        }
        // The last segment that begins before everything that is wanted.
        for number in segments.reversed() {
            guard let header = self.directory.header(number), header.spool == spool else { continue }
            self.number = number
            if wanted.allSatisfy({ header.next[$0] <= next[$0] }) { break }
        }
        _ = move(to: number)
    }

    deinit { if file >= 0 { close(file) } }

    /// Gives out what is there, at most a chunk's worth; never waits.
    public mutating func read(_ body: (Record) -> Void) -> Progress {
        if file < 0 {
            guard let first = directory.segments().first, move(to: first) else { return .atEnd }
        }
        if let progress = readChunk(body) { return progress }
        guard let following = following() else { return .atEnd }
        // The writer may have gone on in this segment between our look at it and the next one's beginning.
        if let progress = readChunk(body) { return progress }
        return move(to: following) ? .skipped : .atEnd
    }

    /// Bytes that wait: of this segment and the one behind it, which is enough to tell much from little; `Int.max` when the writer has
    /// removed this one already.
    public var waitingBytes: Int {
        var status = stat()
        guard file >= 0, fstat(file, &status) == 0 else { return 0 }
        if status.st_nlink == 0 { return .max }
        return max(0, Int(status.st_size) - offset) + Int(directory.size(number + 1))
    }

    /// When the record that comes next was written, whatever its kind; `nil` when there is none in this segment yet.
    public var nextTime: UInt64? { SpoolFormat.time(in: file, at: offset) }

    /// `nil` when no whole record is there.
    private mutating func readChunk(_ body: (Record) -> Void) -> Progress? {
        var length = fill()
        guard length > 0 else { return nil }
        let needed = buffer.withUnsafeBytes { raw -> Int in
            let first = SpoolFormat.piece(UnsafeRawBufferPointer(rebasing: raw[0..<length]), at: 0)
            if case .incomplete(let needed) = first { return needed }
            return 0
        }
        if needed > buffer.count {
            buffer = [UInt8](repeating: 0, count: needed)
            length = fill()
            guard length > 0 else { return nil }
        }
        var (place, given) = (0, 0)
        buffer.withUnsafeBytes { raw in
            let bytes = UnsafeRawBufferPointer(rebasing: raw[0..<length])
            while case .record(let kind, let sequence, let time, let payload) = SpoolFormat.piece(bytes, at: place) {
                place = payload.upperBound
                guard wanted.contains(kind), sequence >= next[kind] else { continue }
                let missed = sequence - next[kind]
                next[kind] = sequence + 1
                given += 1
                body(
                    Record(
                        spool: spool, kind: kind, sequence: sequence, missed: missed, time: time,
                        payload: UnsafeRawBufferPointer(rebasing: bytes[payload])))
            }
        }
        offset += place
        return place == 0 ? nil : given > 0 ? .records(given) : .skipped
    }

    private mutating func fill() -> Int {
        buffer.withUnsafeMutableBytes { pread(file, $0.baseAddress, $0.count, off_t(offset)) }
    }

    /// The segment behind this one.
    private func following() -> UInt64? {
        if directory.exists(number + 1) { return number + 1 }
        var status = stat()
        // While this one is in the directory, it is the last; a writer begins the next before it removes this.
        guard fstat(file, &status) != 0 || status.st_nlink == 0 else { return nil }
        let segments = directory.segments()
        // Somebody emptied the directory, and the numbers begin anew.
        return segments.first { $0 > number } ?? segments.first
    }

    private mutating func move(to segment: UInt64) -> Bool {
        let opened = directory.open(segment)
        guard opened >= 0 else { return false }
        // Begun a moment ago, or for ever without a head: then the one behind it counts.
        guard let header = SpoolDirectory.header(of: opened, segment) else {
            close(opened)
            return directory.exists(segment + 1) ? move(to: segment + 1) : false
        }
        if header.spool != spool {
            // Another one's numbers begin at 1, too: what is gone of it is told.
            if spool != 0 { next = SpoolNumbers() }
            spool = header.spool
        }
        if file >= 0 { close(file) }
        (file, number, offset) = (opened, segment, SpoolFormat.headerBytes)
        return true
    }

    /// What comes behind the last record of a segment.
    static func numbers(behind header: SpoolFormat.Header, in directory: borrowing SpoolDirectory) -> SpoolNumbers {
        var numbers = header.next
        let file = directory.open(header.number)
        guard file >= 0 else { return numbers }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: SpoolFormat.recordBytes + SpoolFormat.payloadLimit)
        var offset = SpoolFormat.headerBytes
        while true {
            let length = buffer.withUnsafeMutableBytes { pread(file, $0.baseAddress, $0.count, off_t(offset)) }
            guard length > 0 else { return numbers }
            var place = 0
            buffer.withUnsafeBytes { raw in
                let bytes = UnsafeRawBufferPointer(rebasing: raw[0..<length])
                while case .record(let kind, let sequence, _, let payload) = SpoolFormat.piece(bytes, at: place) {
                    numbers[kind] = sequence + 1
                    place = payload.upperBound
                }
            }
            guard place > 0 else { return numbers }
            offset += place
        }
    }
}

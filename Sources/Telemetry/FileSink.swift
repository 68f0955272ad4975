/// Writes lines to a file and rotates it itself. Needs the right to rename in the file's directory; without it use
/// `DescriptorSink` and let somebody else run `RotatingFile`.
public final class FileSink: AlertSink {
    private let sink: DescriptorSink

    /// Opens or creates the file.
    ///
    /// - Parameters:
    ///   - maximumBytes: size at which the file is moved away; 0 = never.
    ///   - kept: number of old files.
    public init(path: String, maximumBytes: UInt64 = 64 << 20, kept: Int = 5) throws(SinkError) {
        let file = try RotatingFile(path: path, kept: kept)
        sink = DescriptorSink(descriptor: try file.open(), ownsDescriptor: true, maximumBytes: maximumBytes) { reason in
            switch reason {
            case .sizeLimit: try? file.rotate()
            case .requested: try? file.open()
            }
        }
    }

    /// How often the file was full and could not be moved away.
    public var failedRotations: UInt64 { sink.failedRotations }

    /// See `AlertSink`.
    public var counters: SinkCounters { sink.counters }

    /// See `AlertSink`.
    public func write(_ line: [UInt8]) { sink.write(line) }

    /// See `AlertSink`.
    @discardableResult public func flush() -> Bool { sink.flush() }

    /// See `AlertSink`.
    @discardableResult public func reopen() -> Bool { sink.reopen() }
}

import Crypto
import Glibc
import Synchronization

/// Writes an audit log. Every line is with the kernel when `write` returns; signatures are on the disk.
public final class AuditWriter: Sendable {
    /// How large a log becomes.
    public struct Limits: Sendable, Hashable {
        /// Bytes after which another file begins.
        public var segmentBytes: Int
        /// Files; the oldest goes.
        public var segments: Int
        /// Lines after which there is a signature, and seconds.
        public var (headLines, headSeconds): (UInt64, Int)

        /// 64 MiB in all; a signature for 256 lines or a minute.
        public init(segmentBytes: Int = 8 << 20, segments: Int = 8, headLines: UInt64 = 256, headSeconds: Int = 60) {
            (self.segmentBytes, self.segments) = (segmentBytes, segments)
            (self.headLines, self.headSeconds) = (headLines, headSeconds)
        }
    }

    /// The last line there is, for keeping elsewhere: a log that was cut off behind it, or written anew, does not have it.
    public struct Head: Sendable, Hashable, CustomStringConvertible {
        /// Its number.
        public var sequence: UInt64
        /// Its hash, in hexadecimal.
        public var hash: String

        /// Names a line.
        public init(sequence: UInt64, hash: String) { (self.sequence, self.hash) = (sequence, hash) }

        /// As `portcullis audit verify --head` reads it.
        public var description: String { "\(sequence):\(hash)" }
    }

    private struct State {
        var file: Int32 = -1
        var size = 0
        var names: [String] = []
        var head = Head(sequence: 0, hash: AuditLine.noHash)
        var signed: UInt64 = 0
        var signedAt = 0
        var failures: UInt64 = 0
    }
    private let folder: AuditFolder
    private let limits: Limits
    private let key: Curve25519.Signing.PrivateKey
    private let state = Mutex(State())

    /// Continues the log in a directory, or begins one there.
    ///
    /// - Parameter directory: open as long as the writer lives.
    public init(directory: Int32, limits: Limits = Limits()) throws(AuditError) {
        folder = AuditFolder(descriptor: directory)
        self.limits = limits
        key = try Self.key(folder)
        var fresh = State()
        fresh.names = try folder.segments()
        let remark = try Self.resume(folder, &fresh)
        fresh.signedAt = Self.monotonic
        fresh.signed = fresh.head.sequence
        state.withLock { $0 = fresh }
        write(AuditEntry(.start, outcome: remark))
    }

    deinit {
        sign()
        state.withLock { if $0.file >= 0 { close($0.file) } }
    }

    /// The key that signs, in hexadecimal.
    public var publicKey: String { AuditLine.hex(key.publicKey.rawRepresentation) }

    /// The last line.
    public var head: Head { state.withLock { $0.head } }

    /// Lines that could not be written.
    public var failures: UInt64 { state.withLock { $0.failures } }

    /// Writes a line; returns its number, 0 when it could not be written.
    @discardableResult
    public func write(_ entry: AuditEntry) -> UInt64 {
        state.withLock { state in
            let sequence = state.head.sequence + 1
            let (line, hash) = AuditLine.entry(entry, sequence, Self.now, previous: state.head.hash)
            guard append(line, Head(sequence: sequence, hash: hash), &state) else { return 0 }
            if state.head.sequence - state.signed >= limits.headLines
                || Self.monotonic - state.signedAt >= limits.headSeconds
            {
                sign(&state)
            }
            return sequence
        }
    }

    /// Signs what there is, if anything of it is not signed. For a timer, and at the end.
    public func sign() {
        state.withLock { state in
            if state.head.sequence > state.signed { sign(&state) }
        }
    }

    private func sign(_ state: inout State) {
        let sequence = state.head.sequence + 1
        guard let (line, hash) = try? AuditLine.head(sequence, Self.now, key: key, previous: state.head.hash) else {
            return
        }
        guard append(line, Head(sequence: sequence, hash: hash), &state) else { return }
        fsync(state.file)
        (state.signed, state.signedAt) = (sequence, Self.monotonic)
    }

    /// What could not be written leaves no trace: the next line has its number.
    private func append(_ line: String, _ head: Head, _ state: inout State) -> Bool {
        do throws(AuditError) {
            if state.file < 0 || state.size >= limits.segmentBytes { try begin(head.sequence, &state) }
        } catch {
            state.failures += 1
            return false
        }
        let bytes = Array((line + "\n").utf8)
        let count = Glibc.write(state.file, bytes, bytes.count)
        guard count == bytes.count else {
            if count > 0 { ftruncate(state.file, off_t(state.size)) }
            state.failures += 1
            return false
        }
        state.size += count
        state.head = head
        return true
    }

    private func begin(_ first: UInt64, _ state: inout State) throws(AuditError) {
        let name = AuditFolder.segment(first)
        let file = try folder.append(name)
        if state.file >= 0 { close(state.file) }
        (state.file, state.size) = (file, 0)
        if state.names.last != name { state.names.append(name) }
        while state.names.count > limits.segments { folder.remove(state.names.removeFirst()) }
    }

    /// Finds the last line that is one, and goes on behind it. What is torn at the end is removed; what is no line for another reason
    /// stays, so that `AuditVerifier` names it.
    ///
    /// - Returns: what has to be said about it.
    private static func resume(_ folder: AuditFolder, _ state: inout State) throws(AuditError) -> String {
        var remark = ""
        for name in state.names.reversed() {
            let bytes = try folder.contents(name) ?? []
            let end = (bytes.lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1
            if end < bytes.count {
                let file = try folder.append(name)
                ftruncate(file, off_t(end))
                close(file)
                remark = "the last line was not whole, and was removed"
            }
            let lines = String(decoding: bytes[..<end], as: UTF8.self).split(separator: "\n")
            for (index, line) in lines.enumerated().reversed() {
                guard let parsed = try? AuditLine.parse(line) else {
                    remark = "the log was changed: see 'portcullis audit verify'"
                    continue
                }
                state.head = Head(sequence: parsed.sequence, hash: parsed.hash)
                if name == state.names.last, index == lines.count - 1 {
                    (state.file, state.size) = (try folder.append(name), end)
                }
                return remark
            }
        }
        return remark
    }

    private static func key(_ folder: AuditFolder) throws(AuditError) -> Curve25519.Signing.PrivateKey {
        if let bytes = try folder.contents(AuditFolder.keyName, limit: 4096) {
            guard let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: bytes) else {
                throw AuditError(description: "\(AuditFolder.keyName): no key")
            }
            return key
        }
        let key = Curve25519.Signing.PrivateKey()
        try folder.create(AuditFolder.keyName, Array(key.rawRepresentation), mode: 0o600)
        folder.remove(AuditFolder.publicName)
        try folder.create(
            AuditFolder.publicName, Array((AuditLine.hex(key.publicKey.rawRepresentation) + "\n").utf8), mode: 0o644)
        return key
    }

    private static var monotonic: Int {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec
    }

    private static var now: String {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return AuditLine.time(time)
    }
}

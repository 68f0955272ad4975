import PolicyModel

@testable import PolicyEngine

/// What the tests and the fuzz target do with bytes that may be a snapshot. FuzzTesting has a link to this file.
enum SnapshotExercise {
    /// Paths, names and words that operations are made of, besides those that a snapshot names.
    private static let words = [
        "/etc/shadow", "/etc/a/b/c", "/tmp/x", "/var/x/y/a7z.log", "/", "/bin/nc", "/proc/77/environ", "/dev/shm/x",
        "a.evil.test.", "mount", "",
    ]

    /// Makes length and checksum right, so that everything behind them is reached. Bytes without a header stay as they are.
    static func seal(_ bytes: inout [UInt8]) {
        guard bytes.count >= SnapshotLayout.headerSize else { return }
        put(UInt64(bytes.count), at: SnapshotLayout.Field.length, in: &bytes)
        let sum = bytes.withUnsafeBytes { SnapshotCheck.checksum($0) }
        put(sum, at: SnapshotLayout.Field.checksum, in: &bytes)
    }

    private static func put(_ number: UInt64, at offset: Int, in bytes: inout [UInt8]) {
        withUnsafeBytes(of: number.littleEndian) { for index in 0..<8 { bytes[offset + index] = $0[index] } }
    }

    /// Opens the bytes and, if they are a snapshot, uses every part of it. Returns whether they are.
    static func open(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let snapshot = try? Snapshot(validating: bytes) else { return false }
        use(snapshot)
        return true
    }

    /// Every kind of verdict, on what the snapshot names and on other words.
    static func use(_ snapshot: Snapshot) {
        for word in words { Array(word.utf8).withUnsafeBytes { ask(snapshot, $0, other: $0) } }
        var count = 0
        snapshot.forEachSubject { subject in
            count += 1
            guard count <= 16 else { return }
            ask(snapshot, subject.text, other: subject.text)
            // Something below it, and a source that rules name.
            var below = Array(subject.text.prefix(4_000)) + Array("/x".utf8)
            below.withUnsafeBytes { ask(snapshot, $0, other: subject.text) }
            below.removeLast(2)
            below.withUnsafeBytes { ask(snapshot, $0, other: $0) }
        }
        for number in UInt8.min...UInt8.max { _ = snapshot.capabilityVerdict(number, source: nil) }
        for type in Int32(-1)...17 {
            for number in [Int32.min, -1, 0, 6, 17, 255, 256, Int32.max] {
                _ = snapshot.protocolVerdict(
                    type: type, protocolNumber: number, isInternet: true, source: nil, hasTerminal: nil)
            }
        }
    }

    private static func ask(_ snapshot: Snapshot, _ text: UnsafeRawBufferPointer, other: UnsafeRawBufferPointer) {
        for category in [PolicyEngine.Category.process, .file] {
            var operation = ObjectOperation(category: category, path: text)
            _ = snapshot.verdict(for: operation)
            operation.known = [.source, .write, .ownership, .terminal, .arguments, .process]
            operation.source = other
            operation.arguments = other
            _ = snapshot.verdict(for: operation)
        }
        _ = snapshot.dnsVerdict(name: text, source: other)
        _ = snapshot.syscallVerdict(name: text, path: other, source: other)
        _ = snapshot.protocolVerdict(type: 1, protocolNumber: 6, isInternet: true, source: text, hasTerminal: true)
        _ = snapshot.capabilityVerdict(13, source: text)
    }
}

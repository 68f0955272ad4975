import LinuxKernel

/// Which objects are known under a path that a rule names: so that a hard link, a renamed file or a file in a renamed
/// directory is still the object the rule was written for.
///
/// An entry is verified with the object's file handle (which carries the inode's generation) before it counts, so a reused
/// inode number never inherits a rule. Built by the control thread, read by the permission thread, freed explicitly.
struct ObjectIndex {
    private var table: FlatTable
    private var arena: UnsafeMutablePointer<UInt8>
    private var used = 0
    private let arenaSize: Int
    /// Entries are refused once this many objects are indexed.
    let capacity: Int

    /// An index for at most `capacity` objects with paths of `averagePath` bytes on average.
    init(capacity: Int, averagePath: Int = 96, spareBytes: Int = 0) {
        self.capacity = capacity
        table = FlatTable(capacity: capacity)
        arenaSize = max(capacity * (averagePath + 10), 8192) + spareBytes
        arena = .allocate(capacity: arenaSize)
    }

    func deallocate() {
        table.deallocate()
        arena.deallocate()
    }

    var count: Int { table.count }

    /// Records that the object is known as `path`. The first path recorded for an object stays.
    ///
    /// - Returns: false when the index is full.
    mutating func insert(device: UInt64, inode: UInt64, handle: UInt64, path: UnsafeRawBufferPointer) -> Bool {
        if table.find(device, inode) != nil { return true }
        guard table.count < capacity, used + 10 + path.count <= arenaSize, let source = path.baseAddress else {
            return false
        }
        let entry = UnsafeMutableRawPointer(arena + used)
        entry.storeBytes(of: handle, as: UInt64.self)
        entry.storeBytes(of: UInt16(truncatingIfNeeded: path.count), toByteOffset: 8, as: UInt16.self)
        (entry + 10).copyMemory(from: source, byteCount: path.count)
        guard table.insert(device, inode, value: UInt64(used)) else { return false }
        used += 10 + path.count
        return true
    }

    /// How many bytes of paths it holds.
    var pathBytes: Int { used }

    /// An object and the path it is known by.
    typealias Entry = (device: UInt64, inode: UInt64, handle: UInt64, path: [UInt8])

    /// Everything that it knows.
    var entries: [Entry] {
        var entries: [Entry] = []
        table.forEach { device, inode, _ in
            guard let known = find(device: device, inode: inode) else { return }
            entries.append((device, inode, known.handle, [UInt8](known.path)))
        }
        return entries
    }

    /// Takes over what another index knows and this one does not, as far as there is room.
    mutating func carryOver(_ other: ObjectIndex) { carryOver(other.entries) }

    /// Takes over entries of objects that it does not know, as far as there is room.
    mutating func carryOver(_ entries: [Entry]) {
        for entry in entries {
            _ = entry.path.withUnsafeBytes {
                insert(device: entry.device, inode: entry.inode, handle: entry.handle, path: $0)
            }
        }
    }

    /// The path under which an object is known, and the hash of its file handle at that time.
    @inline(__always)
    func find(device: UInt64, inode: UInt64) -> (handle: UInt64, path: UnsafeRawBufferPointer)? {
        guard let offset = table.find(device, inode) else { return nil }
        let entry = UnsafeRawPointer(arena + Int(offset))
        let length = Int(entry.loadUnaligned(fromByteOffset: 8, as: UInt16.self))
        return (
            entry.loadUnaligned(as: UInt64.self), UnsafeRawBufferPointer(start: entry + 10, count: length)
        )
    }
}

import LinuxKernel

/// The mounts of the host's namespace, arranged so that a path made in any mount can be turned into the host's name for the
/// same object.
///
/// A rule's path means the host's view. A bind mount, here or in somebody's private mount namespace, gives an object a second
/// path that the one who made the mount chose; the table maps it back. Plain memory without ARC, freed explicitly.
struct MountNames {
    private struct Mount {
        var device: UInt64
        var rootOffset: Int
        var rootLength: Int
        var pointOffset: Int
        var pointLength: Int
        /// Index of the mount whose paths are the names of this device's objects.
        var canonical: Int
    }
    private var mounts: UnsafeMutablePointer<Mount>
    private let mountCount: Int
    private var bytes: UnsafeMutablePointer<UInt8>
    private var byID: FlatTable

    /// How a path relates to the host's name for the object.
    enum Name: Equatable {
        /// The path is the host's name.
        case canonical
        /// The host's name was written to the buffer; this is its length.
        case translated(Int)
        /// The object's filesystem, or that part of it, is not mounted in the host's namespace.
        case unknown
    }

    /// Builds the table from the host's mountinfo; entries are in mount order.
    init(_ entries: [MountEntry]) {
        var total = 1
        for entry in entries { total += entry.root.count + entry.mountPoint.count }
        bytes = .allocate(capacity: total)
        mounts = .allocate(capacity: max(entries.count, 1))
        byID = FlatTable(capacity: entries.count)
        mountCount = entries.count
        var used = 0
        func keep(_ text: [UInt8], in bytes: UnsafeMutablePointer<UInt8>) -> (Int, Int) {
            // "/" is kept as the empty prefix, so that joining never doubles a slash.
            let length = text == [UInt8(ascii: "/")] ? 0 : text.count
            for i in 0..<length { bytes[used + i] = text[i] }
            defer { used += length }
            return (used, length)
        }
        for (index, entry) in entries.enumerated() {
            let (rootOffset, rootLength) = keep(entry.root, in: bytes)
            let (pointOffset, pointLength) = keep(entry.mountPoint, in: bytes)
            (mounts + index).initialize(
                to: Mount(
                    device: entry.deviceNumber, rootOffset: rootOffset, rootLength: rootLength,
                    pointOffset: pointOffset,
                    pointLength: pointLength, canonical: index))
            _ = byID.insert(entry.id, 0, value: UInt64(index))
        }
        for index in 0..<entries.count {
            // The widest view of the device names its objects; among equals the oldest mount. A mount that a later one
            // covers at the same point still counts: the host's rules were written for what is reachable, and the
            // covering mount has a device of its own.
            var best = index
            for other in 0..<entries.count where mounts[other].device == mounts[index].device {
                if isPrefix(mounts[other], of: mounts[index])
                    && (mounts[other].rootLength < mounts[best].rootLength
                        || (mounts[other].rootLength == mounts[best].rootLength && other < best))
                {
                    best = other
                }
            }
            mounts[index].canonical = best
        }
    }

    func deallocate() {
        mounts.deallocate()
        bytes.deallocate()
        byID.deallocate()
    }

    /// Whether the mount belongs to the host's namespace.
    func isHost(_ mountID: UInt64) -> Bool { byID.find(mountID, 0) != nil }

    /// Turns a path that the kernel made in host mount `mountID` into the host's canonical name.
    ///
    /// - Returns: `nil` when the mount is not one of the host's.
    @inline(__always)
    func name(of path: UnsafeRawBufferPointer, mountID: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Name? {
        guard let index = byID.find(mountID, 0) else { return nil }
        let mount = mounts[Int(index)]
        if mount.canonical == Int(index) { return .canonical }
        return translate(
            path, device: mount.device, root: text(mount.rootOffset, mount.rootLength),
            mountPoint: text(mount.pointOffset, mount.pointLength), into: buffer)
    }

    /// Finds the host's name for an object that was reached through a mount that the host does not have, by the object itself: what other mounts are
    /// called, and how many there are, is for whoever made them to say. Changes the thread's current directory.
    ///
    /// - Parameter object: descriptor.
    /// - Returns: the length of the name; `nil` when it has none that can be told so.
    func name(ofObject object: Int32, device: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        for index in 0..<mountCount where mounts[index].device == device && mounts[index].canonical == index {
            let mount = mounts[index]
            let length = withUnsafeTemporaryAllocation(of: CChar.self, capacity: mount.pointLength + 2) { point in
                guard let base = point.baseAddress else { return -36 }
                // The root's is kept empty.
                base[0] = CChar(bitPattern: UInt8(ascii: "/"))
                for offset in 0..<mount.pointLength {
                    base[offset] = CChar(bitPattern: bytes[mount.pointOffset + offset])
                }
                base[max(mount.pointLength, 1)] = 0
                return PathName.ofObject(object, below: base, into: buffer)
            }
            if length > 0 { return length }
        }
        return nil
    }

    /// Turns a path made in a mount of another namespace, described by its mountinfo line, into the host's name.
    func name(
        of path: UnsafeRawBufferPointer, foreign entry: MountEntry, into buffer: UnsafeMutableRawBufferPointer
    ) -> Name {
        let slash = [UInt8(ascii: "/")]
        let root = entry.root == slash ? [] : entry.root
        let point = entry.mountPoint == slash ? [] : entry.mountPoint
        return root.withUnsafeBytes { root in
            point.withUnsafeBytes { point in
                translate(path, device: entry.deviceNumber, root: root, mountPoint: point, into: buffer)
            }
        }
    }

    private func text(_ offset: Int, _ length: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: bytes + offset, count: length)
    }

    private func isPrefix(_ a: Mount, of b: Mount) -> Bool {
        Self.isPathPrefix(text(a.rootOffset, a.rootLength), of: text(b.rootOffset, b.rootLength))
    }

    private static func isPathPrefix(_ prefix: UnsafeRawBufferPointer, of path: UnsafeRawBufferPointer) -> Bool {
        guard path.count >= prefix.count else { return false }
        for i in 0..<prefix.count where prefix[i] != path[i] { return false }
        return path.count == prefix.count || path[prefix.count] == UInt8(ascii: "/")
    }

    private func translate(
        _ path: UnsafeRawBufferPointer, device: UInt64, root: UnsafeRawBufferPointer,
        mountPoint: UnsafeRawBufferPointer,
        into buffer: UnsafeMutableRawBufferPointer
    ) -> Name {
        guard Self.isPathPrefix(mountPoint, of: path) else { return .unknown }
        let rest = UnsafeRawBufferPointer(rebasing: path[mountPoint.count...])
        // Name inside the filesystem: root + rest.
        var inside = 0
        for part in [root, rest] {
            guard inside + part.count <= buffer.count / 2 else { return .unknown }
            if let base = part.baseAddress {
                buffer.baseAddress?.advanced(by: inside).copyMemory(from: base, byteCount: part.count)
            }
            inside += part.count
        }
        let insidePath = UnsafeRawBufferPointer(rebasing: buffer[0..<inside])
        var best = -1
        for index in 0..<mountCount where mounts[index].device == device && mounts[index].canonical == index {
            let candidate = mounts[index]
            if Self.isPathPrefix(text(candidate.rootOffset, candidate.rootLength), of: insidePath)
                && (best < 0 || candidate.rootLength < mounts[best].rootLength)
            {
                best = index
            }
        }
        guard best >= 0 else { return .unknown }
        let point = text(mounts[best].pointOffset, mounts[best].pointLength)
        let tail = insidePath[mounts[best].rootLength...]
        let total = point.count + tail.count
        guard total <= buffer.count / 2 else { return .unknown }
        let start = buffer.count / 2
        guard let base = buffer.baseAddress else { return .unknown }
        if let source = point.baseAddress { (base + start).copyMemory(from: source, byteCount: point.count) }
        for (offset, byte) in tail.enumerated() { buffer[start + point.count + offset] = byte }
        base.copyMemory(from: base + start, byteCount: total)
        if total == 0 {
            buffer[0] = UInt8(ascii: "/")
            return .translated(1)
        }
        return .translated(total)
    }
}

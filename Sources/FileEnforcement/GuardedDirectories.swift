import LinuxKernel
import PolicyEngine

/// Directories that lead to what Block rules name: renaming one would take its contents out from under the rule's path. Known by
/// object, so that a bind mount or a link on the way changes nothing. Built by the control thread, read by those that decide
/// calls, freed explicitly.
struct GuardedDirectories {
    /// A rule's subject below a directory.
    struct Subject {
        var rule: RuleID
        /// Whom the rule is for.
        var workload: UInt64
        /// The rule depends on who asks: what the rules say of this path decides. Otherwise empty.
        var path: UnsafeRawBufferPointer
        /// Index of the next subject below the same directory, or -1.
        var next: Int
    }

    private var table: FlatTable
    private let subjects: UnsafeMutablePointer<Subject>
    private let count: Int

    /// None.
    init() {
        table = FlatTable(capacity: 0)
        subjects = .allocate(capacity: 1)
        count = 0
    }

    /// Subjects at most, each once for each directory above it. More are guarded no further: the rules' own paths still are.
    static let limit = 200_000

    /// Collects what the Block rules name, in the calling thread's root.
    ///
    /// - Parameter parts: workloads and their policies.
    init(_ parts: [(workload: UInt64, snapshot: Snapshot)]) {
        var ancestors = AncestorCache()
        var found: [Found] = []
        for part in parts { Self.collect(part, &ancestors, &found) }
        table = FlatTable(capacity: found.count)
        subjects = .allocate(capacity: max(found.count, 1))
        for (index, entry) in found.enumerated() {
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: entry.path.count, alignment: 1)
            copy.copyBytes(from: entry.path)
            let next = table.find(entry.object.device, entry.object.inode).map { Int($0) } ?? -1
            (subjects + index).initialize(
                to: Subject(
                    rule: entry.rule, workload: entry.workload, path: UnsafeRawBufferPointer(copy), next: next))
            _ = table.insert(entry.object.device, entry.object.inode, value: UInt64(index))
        }
        count = found.count
    }

    private struct Found {
        var object: AncestorCache.Object
        var rule: RuleID
        var workload: UInt64
        var path: [UInt8]
    }

    private static func collect(
        _ part: (workload: UInt64, snapshot: Snapshot), _ ancestors: inout AncestorCache, _ found: inout [Found]
    ) {
        var unconditional: Set<AncestorCache.Object> = []
        part.snapshot.forEachSubject { subject in
            guard subject.action == .block, subject.kind != .execname, found.count < limit,
                // No path stands for what a pattern would say of whoever asks.
                subject.kind != .pattern || !subject.isSourceBound
            else { return }
            var text = [UInt8](subject.text)
            let isDirectory = subject.kind == .directory || subject.kind == .recursiveDirectory
            if subject.kind == .pattern {
                text = MarkPlanner.literalDirectory(text)
            } else if !isDirectory {
                text = MarkPlanner.parent(of: text)
            }
            for object in ancestors.chain(of: text) {
                guard subject.isSourceBound else {
                    // One that holds for everybody is as good as many.
                    if unconditional.insert(object).inserted {
                        found.append(Found(object: object, rule: subject.rule, workload: part.workload, path: []))
                    }
                    continue
                }
                // Of a directory's rule, any name below it stands for all.
                found.append(
                    Found(
                        object: object, rule: subject.rule, workload: part.workload,
                        path: [UInt8](subject.text) + (isDirectory ? [0x5F] : [])))
            }
        }
    }

    func deallocate() {
        for index in 0..<count { subjects[index].path.deallocate() }
        subjects.deallocate()
        table.deallocate()
    }

    /// The first subject below a directory; the others by `next`.
    func first(_ device: UInt64, _ inode: UInt64) -> Subject? {
        table.find(device, inode).map { subjects[Int($0)] }
    }

    /// A further subject.
    func subject(_ index: Int) -> Subject? { index >= 0 ? subjects[index] : nil }
}

/// The objects of a path and of everything above it, each path looked at once.
private struct AncestorCache {
    struct Object: Hashable {
        var device: UInt64
        var inode: UInt64
    }

    private var known: [[UInt8]: [Object]] = [:]

    /// Objects from `path`, or the nearest above it that exists, up to the root.
    mutating func chain(of path: [UInt8]) -> [Object] {
        let path = path.count > 1 && path.last == UInt8(ascii: "/") ? Array(path.dropLast()) : path
        if let objects = known[path] { return objects }
        var objects: [Object] = []
        if let descriptor = HostFilesystem.pin(path) {
            defer { RawDescriptor.close(descriptor) }
            var status = ObjectStatus()
            if ObjectStatus.read(descriptor: descriptor, into: &status) == 0, status.isDirectory {
                objects.append(Object(device: status.device, inode: status.inode))
            }
            // Above a link both ways lead to the object.
            if let real = HostFilesystem.name(of: descriptor), real != path, real.first == UInt8(ascii: "/") {
                objects += chain(of: MarkPlanner.parent(of: real))
            }
        }
        if path.count > 1 { objects += chain(of: MarkPlanner.parent(of: path)) }
        known[path] = objects
        return objects
    }
}

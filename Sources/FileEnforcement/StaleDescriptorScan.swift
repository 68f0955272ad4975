import Glibc
import LinuxKernel
import PolicyEngine

/// A descriptor that was open on a protected object before its rule was in force. The kernel never asks about it again
/// (measured), so it is reported.
public struct StaleDescriptor: Sendable, Equatable {
    /// Process that holds it.
    public var pid: Int32
    /// Descriptor number in that process, or -1 for a memory mapping.
    public var number: Int32
    /// The object's path as the rule names it.
    public var path: [UInt8]
    /// The rule.
    public var rule: RuleID
    /// The object.
    fileprivate var object: ObjectKey

    /// Ends the process, if it still is the one that holds the object; never the first process.
    ///
    /// - Returns: 0, or a negated errno: -ESRCH when there is nobody left to end.
    public func endHolder() -> Int32 {
        guard pid > 1 else { return -EPERM }
        let process: Descriptor
        do { process = try ProcessDescriptor.open(pid) } catch { return -error.errno }
        // While the descriptor holds the process its number means nobody else.
        var isHolder = false
        forEachHeldObject(of: pid) { _, key in isHolder = isHolder || key == object }
        return isHolder ? ProcessDescriptor.sendSignal(SIGKILL, to: process.raw) : -ESRCH
    }
}

/// An object, as a descriptor shows it.
private struct ObjectKey: Hashable, Sendable {
    var device: UInt64
    var inode: UInt64

    init(_ status: ObjectStatus) {
        device = status.device
        inode = status.inode
    }
}

/// Calls `body` with everything that a process has open (the descriptor's number) or mapped (-1).
private func forEachHeldObject(of pid: Int32, _ body: (Int32, ObjectKey) -> Void) {
    _ = ProcFS.forEachDescriptor(of: pid) { body($0, ObjectKey($1)) }
    _ = ProcFS.forEachMappedFile(of: pid) { body(-1, ObjectKey($1)) }
}

/// Looks through the descriptors and mappings of every process for files that it could not open any more under the rules in force.
/// Programs are not looked for: a process rule says nothing about those that run already.
struct StaleDescriptorScan {
    /// Most findings of one scan.
    static let limit = 4096

    let state: UnsafePointer<EnforcementState>

    func run(_ plan: MarkPlan) -> [StaleDescriptor] {
        let files = plan.indexed.filter { $0.category == .file }
        guard !files.isEmpty else { return [] }
        var paths: [ObjectKey: [UInt8]] = [:]
        for subject in files {
            _ = DirectoryWalk.run(subject.path, recursive: subject.recursive ?? false) { entry in
                if !entry.isDirectory { paths[ObjectKey(entry.status)] = entry.path }
                return paths.count < FileEnforcer.indexCapacity
            }
        }
        var processes: [Int32] = []
        _ = ProcFS.forEachProcess { processes.append($0) }
        var found: [StaleDescriptor] = []
        for pid in processes {
            var seen: Set<ObjectKey> = []
            forEachHeldObject(of: pid) { number, key in
                guard found.count < Self.limit, let path = paths[key] else { return }
                // A file is mapped in several pieces, and often still open.
                if number < 0 && seen.contains(key) { return }
                seen.insert(key)
                guard let rule = denyingRule(pid, number, path) else { return }
                found.append(StaleDescriptor(pid: pid, number: number, path: path, rule: rule, object: key))
            }
        }
        return found
    }

    /// The rule by which the holder would be denied the object now; `nil` when it would not be. What cannot be found out counts
    /// against the holder.
    private func denyingRule(_ pid: Int32, _ number: Int32, _ path: [UInt8]) -> RuleID? {
        var facts = PermissionFacts()
        defer { facts.deallocate() }
        facts.begin(thread: pid, isExec: false, access: Self.writes(pid, number) ? .write : .read)
        return path.withUnsafeBytes { bytes -> RuleID? in
            var operation = ObjectOperation(category: .file, path: bytes)
            // Each round names a new fact, and there are as many as bits in a FactSet.
            for _ in 0..<8 {
                let verdict = state.pointee.snapshot.verdict(for: operation)
                if verdict.missing.isEmpty { return verdict.effect == .block ? verdict.rule : nil }
                // The owner is the object's, which only an open tells.
                guard !verdict.missing.contains(.ownership),
                    facts.supply(verdict.missing, to: &operation, state: state.pointee)
                else { break }
            }
            return state.pointee.snapshot.verdict(for: operation).rule
        }
    }

    /// Whether a descriptor was opened for writing; a mapping counts as read, since it is private more often than not.
    private static func writes(_ pid: Int32, _ number: Int32) -> Bool {
        guard number >= 0 else { return false }
        return withUnsafeTemporaryAllocation(byteCount: 512, alignment: 8) { buffer in
            let length = ProcFS.read(of: pid, "fdinfo/\(number)", into: buffer)
            guard length > 0 else { return true }
            let text = String(decoding: buffer[0..<length], as: UTF8.self)
            let line = text.split(separator: "\n").first { $0.hasPrefix("flags:") }
            let flags = line?.split(whereSeparator: \.isWhitespace).last.flatMap { Int32($0, radix: 8) }
            return flags.map { $0 & O_ACCMODE != O_RDONLY } ?? true
        }
    }
}

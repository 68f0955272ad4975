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

/// Looks through the descriptors and mappings of every process for objects that the plan protects.
enum StaleDescriptorScan {
    /// Most findings of one scan.
    static let limit = 4096

    static func run(_ plan: MarkPlan) -> [StaleDescriptor] {
        var found: [StaleDescriptor] = []
        guard !plan.indexed.isEmpty else { return found }
        var subjects: [ObjectKey: (path: [UInt8], rule: RuleID)] = [:]
        for subject in plan.indexed {
            _ = DirectoryWalk.run(subject.path, recursive: subject.recursive ?? false) { entry in
                if !entry.isDirectory {
                    subjects[ObjectKey(entry.status)] = (entry.path, subject.rule)
                }
                return subjects.count < FileEnforcer.indexCapacity
            }
        }
        var processes: [Int32] = []
        _ = ProcFS.forEachProcess { processes.append($0) }
        for pid in processes {
            var mapped: Set<ObjectKey> = []
            forEachHeldObject(of: pid) { number, key in
                guard found.count < limit, let subject = subjects[key] else { return }
                // A file is mapped in several pieces, and often still open.
                if number < 0 && !mapped.insert(key).inserted { return }
                mapped.insert(key)
                found.append(
                    StaleDescriptor(pid: pid, number: number, path: subject.path, rule: subject.rule, object: key))
            }
        }
        return found
    }
}

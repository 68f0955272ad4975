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

    /// Creates a finding.
    public init(pid: Int32, number: Int32, path: [UInt8], rule: RuleID) {
        self.pid = pid
        self.number = number
        self.path = path
        self.rule = rule
    }
}

/// Looks through `/proc/<pid>/fd` of every process for objects that the plan protects.
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
                    subjects[ObjectKey(entry.status.device, entry.status.inode)] = (entry.path, subject.rule)
                }
                return subjects.count < FileEnforcer.indexCapacity
            }
        }
        var processes: [Int32] = []
        _ = ProcFS.forEachProcess { processes.append($0) }
        for pid in processes {
            _ = ProcFS.forEachDescriptor(of: pid) { number, status in
                guard found.count < limit, let subject = subjects[ObjectKey(status.device, status.inode)] else {
                    return
                }
                found.append(StaleDescriptor(pid: pid, number: number, path: subject.path, rule: subject.rule))
            }
        }
        return found
    }

    private struct ObjectKey: Hashable {
        var device: UInt64
        var inode: UInt64
        init(_ device: UInt64, _ inode: UInt64) {
            self.device = device
            self.inode = inode
        }
    }
}

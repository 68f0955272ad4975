import ControlProtocol
import LinuxKernel
import PolicyEngine
import PolicyModel
import SyscallEnforcement

/// What a supervised tree is started under: the calls that rules want to hear of, and the capabilities that they take away.
struct TreeNeeds {
    var calls = FilterNeeds()
    var dropped: CapabilitySet = []

    /// Nothing.
    init() {}

    /// What a snapshot's rules need, and what is to be seen.
    init(_ compiled: CompiledSnapshot, seesEvents: Bool, visibility: Visibility = []) throws {
        self = try compiled.bytes.withUnsafeBytes { bytes in
            let snapshot = try Snapshot(validating: bytes)
            var needs = TreeNeeds()
            needs.calls = FilterNeeds(snapshot, seesEvents: seesEvents)
            if visibility.contains(.file) { needs.calls.files = true }
            if !seesEvents, !visibility.isDisjoint(with: [.file, .process]) { needs.calls.decidesOpens = true }
            if visibility.contains(.network) { needs.calls.sockets = .all }
            needs.dropped = CapabilitySet(blockedBy: snapshot)
            return needs
        }
    }

    /// What both need.
    mutating func add(_ other: TreeNeeds) {
        calls.add(other.calls)
        dropped = dropped.union(other.dropped)
    }

    /// The programs; empty ones when no rule needs them.
    ///
    /// - Parameter guardsManagers: a tree with a filter may not have others start programs for it.
    func filters(guardsManagers: Bool, gaps: [String], _ programs: inout TreePrograms) throws -> TreeFilters {
        guard !calls.isEmpty || dropped != [] else {
            return TreeFilters(guardProgram: [], treeProgram: [], droppedCapabilities: 0, gaps: gaps)
        }
        var calls = calls
        // Without a filter nothing else is held either.
        if !calls.isEmpty { calls.guardsManagers = guardsManagers }
        let (guardProgram, treeProgram) = try programs.programs(for: calls)
        return TreeFilters(
            guardProgram: guardProgram.instructions, treeProgram: treeProgram.instructions,
            droppedCapabilities: dropped.rawValue, changesArePerformed: calls.files || calls.decidesOpens, gaps: gaps)
    }
}

import LinuxKernel
import SyscallEnforcement

/// The filters that trees were started under lately: making them takes longer than the rest of a start.
struct TreePrograms {
    typealias Programs = (guardProgram: FilterProgram, treeProgram: FilterProgram)

    private static let limit = 8
    private var made: [(needs: FilterNeeds, programs: Programs)] = []

    /// How many are kept.
    var count: Int { made.count }

    /// Those for what rules want to hear of.
    mutating func programs(for needs: FilterNeeds) throws(KernelError) -> Programs {
        if let known = made.first(where: { $0.needs == needs }) { return known.programs }
        let programs = try FilterPlan(needs).programs()
        made.append((needs, programs))
        if made.count > Self.limit { made.removeFirst() }
        return programs
    }
}

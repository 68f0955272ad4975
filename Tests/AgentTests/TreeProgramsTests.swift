import SyscallEnforcement
import Testing

@testable import Agent

@Suite struct TreeProgramsTests {
    private func needs(_ capability: UInt8) -> FilterNeeds {
        var needs = FilterNeeds()
        needs.capabilities = [capability]
        return needs
    }

    @Test func keptProgramsAreThoseThatWouldBeMade() throws {
        var programs = TreePrograms()
        var files = FilterNeeds()
        files.files = true
        for wanted in [needs(13), files, needs(13), needs(21), files] {
            let fresh = try FilterPlan(wanted).programs()
            let kept = try programs.programs(for: wanted)
            #expect(kept.treeProgram.instructions == fresh.treeProgram.instructions)
            #expect(kept.guardProgram.instructions == fresh.guardProgram.instructions)
        }
    }

    @Test func onlyTheLastOnesAreKept() throws {
        var programs = TreePrograms()
        for capability in UInt8(0)..<12 { _ = try programs.programs(for: needs(capability)) }
        #expect(programs.count == 8)
    }
}

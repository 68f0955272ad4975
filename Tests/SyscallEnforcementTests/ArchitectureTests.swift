import SyscallEnforcement
import Testing

@Suite("Architecture")
struct ArchitectureTests {
    @Test func theKernelsNumbersAreKnown() {
        #expect(Architecture(rawValue: 0xC000_003E) == .x86_64)
        #expect(Architecture(rawValue: 0x4000_0028) == nil)
    }
}

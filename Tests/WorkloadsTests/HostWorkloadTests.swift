import Testing

@testable import Workloads

@Suite("Host workload")
struct HostWorkloadTests {
    @Test func aConfiguredNameWins() {
        #expect(HostWorkload(configured: "node-7").name == "node-7")
    }

    @Test func theKernelsNameIsCutAtTheFirstDot() {
        let host = HostWorkload()
        #expect(!host.name.isEmpty)
        #expect(!host.name.contains("."))
        #expect(!host.nodeID.isEmpty)
        #expect(!host.nodeID.contains("\n"))
    }
}

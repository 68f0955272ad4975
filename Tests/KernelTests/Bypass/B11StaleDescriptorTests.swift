import Foundation
import Testing

extension KernelSuite {
    /// B11: descriptors that are older than the rule.
    @Suite("B11")
    struct B11StaleDescriptorTests {
        @Test(arguments: Filesystem.allCases) func aDescriptorFromBeforeTheRuleIsReported(_ filesystem: Filesystem)
            throws
        {
            let scratch = try Scratch(filesystem)
            let agent = try AgentUnderTest(scratch, policies: [:])
            let holder = Process()
            let (input, output) = (Pipe(), Pipe())
            holder.executableURL = URL(fileURLWithPath: AgentUnderTest.binaries + "/portcullis-victim")
            holder.arguments = ["hold", scratch.path("prot/secret")]
            holder.standardInput = input
            holder.standardOutput = output
            try holder.run()
            #expect(String(decoding: output.fileHandleForReading.availableData, as: UTF8.self).hasPrefix("holding"))
            try AgentUnderTest.write(AgentUnderTest.policy(file: AgentUnderTest.protectedTree), "p.yaml", scratch)
            let alerts = agent.alerts(atLeast: 1)
            #expect(alerts.count == 1)
            #expect(alerts.first?.number("HostPID") == Int(holder.processIdentifier))
            #expect(alerts.first?["Resource"] == scratch.path("prot/secret"))
            #expect(alerts.first?["PolicyName"] == "p")
            try input.fileHandleForWriting.close()
            holder.waitUntilExit()
        }
    }
}

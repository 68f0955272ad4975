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

        /// Who may open the file anew, for what it has it open for, breaks no rule by having it open; nor does who runs a program.
        @Test(arguments: [
            "matchPaths: [{path: \"@/prot/secret\", fromSource: [{path: \"@/bin/other\"}]}]",
            "matchPaths: [{path: \"@/bin/denied\"}]",
        ])
        func aDescriptorThatNoRuleForbidsIsNotReported(rules: String) throws {
            let scratch = try Scratch()
            let agent = try AgentUnderTest(scratch, policies: [:])
            let holder = Process()
            let (input, output) = (Pipe(), Pipe())
            holder.executableURL = URL(fileURLWithPath: AgentUnderTest.binaries + "/portcullis-victim")
            holder.arguments = ["hold", scratch.path("prot/secret")]
            holder.standardInput = input
            holder.standardOutput = output
            try holder.run()
            #expect(String(decoding: output.fileHandleForReading.availableData, as: UTF8.self).hasPrefix("holding"))
            let policy = AgentUnderTest.policy(file: rules, process: "matchPaths: [{path: \"@/prot/secret\"}]")
            try AgentUnderTest.write(policy, "p.yaml", scratch)
            let end = Date().addingTimeInterval(Effort.patience(60))
            while !agent.log.contains("loaded again") && Date() < end { AgentUnderTest.pause() }
            #expect(agent.log.contains("loaded again"))
            Thread.sleep(forTimeInterval: 0.2)
            #expect(agent.alerts().isEmpty)
            try input.fileHandleForWriting.close()
            holder.waitUntilExit()
        }
    }
}

import Foundation
import Testing

extension KernelSuite {
    /// A call that is performed in a thread's name gives what the thread's own call would have given: result, errno, owner, mode,
    /// contents. Seeded sequences of calls are made once directly and once in a supervised tree.
    @Suite("Equivalence")
    struct EquivalenceTests {
        /// Who makes the calls.
        enum Caller: String, CaseIterable {
            case root, rootWithoutCapabilities, user

            var words: [String] {
                switch self {
                case .root: ["0", "1"]
                case .rootWithoutCapabilities: ["0", "0"]
                case .user: ["1000", "1"]
                }
            }
        }

        private static let seeds =
            ProcessInfo.processInfo.environment["PORTCULLIS_SEEDS"].flatMap { Int($0) } ?? 12

        @Test(arguments: Caller.allCases, AgentMode.allCases)
        func aSupervisedCallDoesWhatADirectOneDoes(caller: Caller, mode: AgentMode) throws {
            let scratch = try Scratch()
            // A rule about something else: every call is asked about, and none is refused.
            let policy = AgentUnderTest.policy(file: "matchDirectories: [{dir: \"@/prot/\", recursive: true}]")
            let agent = try AgentUnderTest(scratch, policies: ["p.yaml": policy], options: mode.options)
            let parent = scratch.path("work/parent")
            for seed in 1...Self.seeds {
                func run(_ prefix: [String]) throws -> [String] {
                    try? FileManager.default.removeItem(atPath: parent)
                    try FileManager.default.createDirectory(
                        atPath: parent + "/top", withIntermediateDirectories: true)
                    chmod(parent + "/top", 0o777)
                    let words =
                        [
                            AgentUnderTest.binaries + "/portcullis-victim", "random", "\(seed)", "\(Effort.times(400))",
                            parent + "/top",
                        ]
                        + caller.words
                    let result = prefix.isEmpty ? Shell.run(words) : agent.tool(prefix + words)
                    try #require(result.status == 0, "seed \(seed): \(result.error)")
                    return result.output.split(separator: "\n").map(String.init)
                }
                let direct = try run([])
                let supervised = try run(["run", "--"])
                try #require(direct.count >= Effort.times(400))
                let difference = zip(direct, supervised).first { $0 != $1 }
                try #require(
                    difference == nil && direct.count == supervised.count,
                    "seed \(seed):\ndirect     \(difference?.0 ?? "")\nsupervised \(difference?.1 ?? "")")
            }
            #expect(agent.alerts().isEmpty)
        }
    }
}

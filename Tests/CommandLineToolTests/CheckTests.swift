import Foundation
import Testing

@Suite struct CheckTests {
    let folder: TestFolder

    init() throws { folder = try TestFolder() }

    @Test func everyProblemHasItsPlaceAndTheSumIsLast() throws {
        let good = try folder.write("p/a.yaml", AgentVerbTests.policy)
        let bad = try folder.write(
            "p/b.yaml", AgentVerbTests.policy.replacingOccurrences(of: "/etc/shadow", with: "etc/shadow"))
        let run = try ToolRun("check", folder.path + "/p")
        #expect(run.status == 1)
        let lines = run.output.split(separator: "\n").map(String.init)
        #expect(lines.last == "1 valid, 1 invalid")
        #expect(lines.count == 2)
        #expect(lines[0].hasPrefix("\(bad):11:13: ") && lines[0].contains("etc/shadow"))
        #expect(run.error == "")
        let valid = try ToolRun("check", good)
        #expect(valid.status == 0)
        #expect(valid.output == "1 valid, 0 invalid\n")
    }

    @Test func aFileThatIsNotThereIsInvalid() throws {
        let run = try ToolRun("check", folder.path + "/no\u{1B}ne")
        #expect(run.status == 1)
        #expect(run.output == "\(folder.path)/no\\x1bne:1:1: No such file or directory\n0 valid, 1 invalid\n")
    }

    @Test func jsonHasTheSameFindings() throws {
        let file = try folder.write("a.yaml", AgentVerbTests.policy)
        #expect(
            try ToolRun("check", file, "--json").output
                == #"{"files":[{"file":"\#(file)","policies":1,"problems":[],"valid":true}],"invalid":0,"valid":1}"#
                + "\n")
        let absent = try ToolRun("check", "/absent", "--json")
        #expect(absent.status == 1)
        #expect(absent.output.hasSuffix(#""invalid":1,"valid":0}"# + "\n"))
    }

    @Test func aFolderWithoutPoliciesIsInvalidAndTheRestIsChecked() throws {
        try FileManager.default.createDirectory(atPath: folder.path + "/empty", withIntermediateDirectories: true)
        let file = try folder.write("a.yaml", AgentVerbTests.policy)
        let run = try ToolRun("check", folder.path + "/empty", file)
        #expect(run.status == 1)
        #expect(
            run.output == "\(folder.path)/empty:1:1: there is no policy file in this folder\n1 valid, 1 invalid\n")
        #expect(run.error == "")
    }

    @Test func everyPatternThatDoesNotCompileIsAProblem() throws {
        let long = "/" + String(repeating: "{a,b}", count: 20) + "*"
        let patterns = [long, "/short*", "/other" + long].map { "    - pattern: \"\($0)\"" }.joined(separator: "\n")
        let file = try folder.write(
            "a.yaml",
            AgentVerbTests.policy.replacingOccurrences(of: "    matchPaths:", with: "    matchPatterns:")
                .replacingOccurrences(of: "    - path: /etc/shadow", with: patterns))
        let run = try ToolRun("check", file)
        #expect(run.status == 1)
        let lines = run.output.split(separator: "\n")
        try #require(lines.count == 3)
        #expect(lines[0].hasPrefix("\(file):11:7: pattern ") && lines[0].contains("alternatives"))
        #expect(lines[1].hasPrefix("\(file):13:7: pattern ") && lines[1].contains("alternatives"))
        #expect(lines[2] == "0 valid, 1 invalid")
    }
}

import Foundation
import Testing

@Suite struct UsageTests {
    @Test(arguments: [
        ["bogus"], ["check"], ["apply"], ["delete"], ["delete", "hsp"], ["delete", "pod", "x"],
        ["status", "--nonsense"],
        ["delete", "hsp", "x", "-f", "y"], ["logs", "--limit", "0"], ["logs", "--filter", "nothing"], ["get", "pods"],
        ["logs", "--filter", "=x"], ["logs", "--filter", "a=1", "--filter", "a=2"], ["simulate", "--exe", "/x"],
        ["simulate", "--policies", "/p", "--exe", "/x"],
        ["simulate", "--policies", "/p", "--exe", "x", "--exec", "/y"],
        ["simulate", "--policies", "/p", "--exe", "/x", "--exec", "/y", "--open", "/z"],
        ["simulate", "--policies", "/p", "--exe", "/x", "--exec", "/y", "--write"],
        ["simulate", "--policies", "/p", "--exe", "/x", "--open", "/y", "--args", "a"],
        ["simulate", "--policies", "/p", "--exe", "/x", "--socket", "inet:nonsense"],
        ["simulate", "--policies", "/p", "--exe", "/x", "--connect", "1.2.3.4:0/tcp"],
        ["simulate", "--policies", "/p", "--exe", "/x", "--connect", "host:80/tcp"],
        ["simulate", "--policies", "/p", "--exe", "/x", "--open", "/y", "--posture", "file=maybe"],
    ])
    func wrongUsageIsExitCodeTwoAndOneLine(_ arguments: [String]) throws {
        let run = try ToolRun(arguments)
        #expect(run.status == 2)
        #expect(run.output == "")
        #expect(run.error.hasPrefix("portcullis: "))
        #expect(run.error.filter { $0 == "\n" }.count == 1, "\(run.error)")
    }

    @Test(arguments: [
        [], ["check"], ["simulate"], ["apply"], ["delete"], ["get", "policies"], ["status"], ["logs"], ["probe"],
        ["unlock"], ["version"],
    ])
    func everyVerbHasHelpAndJSON(_ verb: [String]) throws {
        let run = try ToolRun(verb + ["--help"])
        #expect(run.status == 0)
        #expect(run.error == "")
        #expect(run.output.contains("USAGE: portcullis"))
        if !verb.isEmpty { #expect(run.output.contains("--json")) }
    }

    @Test func versionAndProbe() throws {
        #expect(try ToolRun("version", "--json").output == #"{"version":"0.1.0"}"# + "\n")
        let probe = try ToolRun("probe", "--json")
        #expect(probe.status == 0)
        let findings = try JSONSerialization.jsonObject(with: Data(probe.output.utf8)) as? [[String: Any]]
        #expect(
            findings?.contains { $0["name"] as? String == "kernel.release" && $0["available"] as? Bool == true } == true
        )
        #expect(try ToolRun("probe").output.hasPrefix("FEATURE "))
    }

    @Test func completionScripts() throws {
        for shell in ["bash", "zsh", "fish"] {
            let run = try ToolRun("--generate-completion-script", shell)
            #expect(run.status == 0)
            #expect(run.output.contains("simulate"))
        }
    }

    @Test func outputThatCannotBeWrittenIsAFailure() throws {
        let run = try ToolRun(
            ["version"], prefix: ["sh", "-c", "exec \"$@\" > /dev/full", "sh"])
        #expect(run.status == 1)
        #expect(run.error == "portcullis: standard output: No space left on device\n")
    }
}

import Testing

/// Everything that starts an agent: one after the other, since each measures what its own agent does.
@Suite("Kernel", .serialized)
enum KernelSuite {}

extension AgentUnderTest {
    /// A host policy with these file and process rules; `@` is the scratch root.
    static func policy(
        _ name: String = "p", file: String = "", process: String = "", network: String = "", capabilities: String = "",
        syscalls: String = "", action: String = "Block"
    ) -> String {
        var text = """
            apiVersion: security.kubearmor.com/v1
            kind: KubeArmorHostPolicy
            metadata: {name: \(name)}
            spec:
              nodeSelector: {matchLabels: {kubearmor.io/hostname: "*"}}
              severity: 5
              tags: [test]
              message: found

            """
        if !file.isEmpty { text += "  file: {\(file)}\n" }
        if !process.isEmpty { text += "  process: {\(process)}\n" }
        if !network.isEmpty { text += "  network: {\(network)}\n" }
        if !capabilities.isEmpty { text += "  capabilities: {\(capabilities)}\n" }
        if !syscalls.isEmpty { text += "  syscalls: {\(syscalls)}\n" }
        return text + "  action: \(action)\n"
    }

    /// Rules on everything in `prot`.
    static let protectedTree = "matchDirectories: [{dir: \"@/prot/\", recursive: true}]"

    /// An agent that blocks files.
    static func blockingFiles(_ place: any Place, _ rules: String = protectedTree) throws -> AgentUnderTest {
        try AgentUnderTest(place, policies: ["p.yaml": policy(file: rules)])
    }

    /// An agent that blocks programs.
    static func blockingProcesses(
        _ place: any Place, _ rules: String = "matchPaths: [{path: \"@/bin/denied\"}]"
    ) throws -> AgentUnderTest {
        try AgentUnderTest(place, policies: ["p.yaml": policy(process: rules)])
    }

    /// The three things every blocked operation must show: what the victim saw, one alert and no other, and what the alert says.
    func expectBlocked(
        _ result: Shell.Result, operation: String, resource: String, policy: String = "p", alerts count: Int = 1,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(result.output.contains("errno 1 EPERM"), "\(result)", sourceLocation: sourceLocation)
        #expect(!result.output.contains("SECRET"), sourceLocation: sourceLocation)
        let found = alerts(atLeast: count)
        #expect(found.count == count, "\(found.map(\.fields))", sourceLocation: sourceLocation)
        guard let alert = found.last else { return }
        #expect(alert["PolicyName"] == policy, sourceLocation: sourceLocation)
        #expect(alert["Operation"] == operation, sourceLocation: sourceLocation)
        #expect(
            alert["Resource"]?.hasPrefix(resource) == true, "\(alert["Resource"] ?? "")", sourceLocation: sourceLocation
        )
        #expect(alert["Action"] == "Block", sourceLocation: sourceLocation)
        #expect(alert["Result"] == "Permission denied", sourceLocation: sourceLocation)
        #expect(alert["Enforcer"] == "fanotify", sourceLocation: sourceLocation)
        #expect(alert["Type"] == "MatchedHostPolicy", sourceLocation: sourceLocation)
        #expect(alert["Severity"] == "5", sourceLocation: sourceLocation)
        #expect((alert.number("HostPID") ?? 0) > 1, sourceLocation: sourceLocation)
    }
}

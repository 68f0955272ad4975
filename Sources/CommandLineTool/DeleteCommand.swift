import ClientSupport
import ArgumentParser
import ControlProtocol
import PolicyLoading
import PolicyModel

/// `portcullis delete -f F…` and `portcullis delete KIND NAME`
struct DeleteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Removes policies that were applied at the agent.")

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Remove the policies of this file, folder or - (standard input).", valueName: "path"),
        completion: .file())
    var file: [String] = []

    @Argument(help: "The policy's kind: ksp, hsp, csp, nsp or the full name.")
    var kind: PolicyKindArgument?

    @Argument(help: "The policy's name.")
    var name: String?

    @Option(name: .shortAndLong, help: "The policy's namespace.")
    var namespace = ""

    @OptionGroup var agent: AgentOptions
    @OptionGroup var remote: RemoteOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if file.isEmpty {
            guard kind != nil, name != nil else { throw ValidationError("Give either -f <path>, or a kind and a name") }
        } else if kind != nil || name != nil || !namespace.isEmpty {
            throw ValidationError("-f <path> goes with neither kind, name nor namespace")
        }
    }

    func run() throws {
        var report = ChangeReport(messages: [])
        var failure: ToolFailure?
        for request in try requests() {
            do {
                if let place = try remote.place {
                    report.messages += try RemoteControl.change(request, remote, place).messages
                } else {
                    try report.add(AgentConnection.ask(request, at: agent.socket, seconds: 30))
                }
            } catch let error as ToolFailure {
                // One policy that is not there must not keep the others.
                guard error.code == .failure else { throw error }
                failure = ToolFailure((failure?.messages ?? []) + error.messages)
            }
        }
        if failure == nil || !report.messages.isEmpty { try report.write(output) }
        if let failure { throw failure }
    }

    private func requests() throws(ToolFailure) -> [ControlRequest] {
        if let kind, let name {
            return [.delete(kind: kind.kind.rawValue, namespace: namespace, name: name)]
        }
        var policies: [Policy] = []
        var problems: [String] = []
        for document in try PolicySource.documents(at: file) {
            let result = PolicyDocumentLoader().load(bytes: Array(document.text.utf8), file: document.name)
            policies += result.policies
            problems += result.diagnostics.filter { $0.severity == .error }.map(\.description)
        }
        if !problems.isEmpty { throw ToolFailure(problems) }
        return policies.map { .delete(kind: $0.kind.rawValue, namespace: $0.namespace ?? "", name: $0.name) }
    }
}

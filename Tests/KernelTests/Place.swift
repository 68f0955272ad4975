/// Where an agent and its victims run.
protocol Place: AnyObject {
    /// What `@` in a policy stands for.
    var root: String { get }
    /// The agent's own directory, as the test sees it.
    var outside: String { get }
    /// The same directory, as the agent sees it.
    var agentDirectory: String { get }
    /// Directory outside of everything that policies cover: what is in it can always be read.
    var logDirectory: String { get }
    /// Command before a command that is to run there; empty on the host.
    var enter: [String] { get }
    /// The first process of such a command waits for the second, instead of becoming it.
    var enterWaits: Bool { get }
    /// The agent may put rules for packets in force: its network is not the machine's.
    var hasOwnNetwork: Bool { get }
    /// Directory of our programs, as it is seen there.
    var binaries: String { get }
}

extension Place {
    var enterWaits: Bool { !enter.isEmpty }
    var hasOwnNetwork: Bool { false }
}

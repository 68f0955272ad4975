import LinuxKernel

/// What a table asks of the kernel. In tests something that fails when it is told to stands between the two.
protocol RulesetKernel: AnyObject {
    /// The number of the ruleset in force.
    func generation() throws(KernelError) -> UInt32
    /// What the table holds of one kind.
    func list(_ kind: NetfilterSocket.Kind) throws(KernelError) -> [NetfilterSocket.Item]
    /// Puts a batch in force, or only checks it; whatever the ruleset in force is, if the number is 0.
    func commit(_ batch: NetfilterBatch, generation: UInt32, onlyChecks: Bool) throws(NetfilterError)
    /// Begins a quota anew.
    func resetQuota(_ name: String) throws(KernelError)
    /// Tells of others' changes from now on, or not any more.
    func watch(_ wanted: Bool) throws(KernelError)
    /// The changes since the last call.
    func changes() throws(KernelError) -> [NetfilterSocket.Change]
    /// Readable when there are some.
    var changeDescriptor: Int32 { get }
    /// What it has for rules.
    func features() -> NetworkFeatures
}

/// The kernel itself, by sockets of one network namespace.
final class NetfilterKernel: RulesetKernel {
    private let requests: NetfilterSocket
    private let monitor: NetfilterSocket

    /// Takes the descriptors over.
    init(requests: Int32, monitor: Int32) {
        self.requests = NetfilterSocket(owning: requests)
        self.monitor = NetfilterSocket(owning: monitor)
    }

    func generation() throws(KernelError) -> UInt32 { try requests.generation() }

    func list(_ kind: NetfilterSocket.Kind) throws(KernelError) -> [NetfilterSocket.Item] {
        try requests.list(kind, table: Ruleset.table)
    }

    func commit(_ batch: NetfilterBatch, generation: UInt32, onlyChecks: Bool) throws(NetfilterError) {
        try requests.commit(batch, generation: generation, onlyChecks: onlyChecks)
    }

    func resetQuota(_ name: String) throws(KernelError) { try requests.resetQuota(name, table: Ruleset.table) }

    func watch(_ wanted: Bool) throws(KernelError) { try monitor.watch(wanted, except: port) }

    func changes() throws(KernelError) -> [NetfilterSocket.Change] { try monitor.changes(table: Ruleset.table) }

    var changeDescriptor: Int32 { monitor.descriptor }

    private var port: UInt32 { requests.port }

    func features() -> NetworkFeatures { NetworkFeatures.probe(requests) }
}

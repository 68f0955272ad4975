import Glibc
import LinuxKernel

@testable import NetworkEnforcement

/// The kernel, but for calls that fail as they were told to, and for features that it is said not to have.
final class FailingKernel: RulesetKernel {
    enum Call: CaseIterable { case generation, list, commit, watch, changes, reset }

    /// What comes of a call instead of its result.
    struct Failure {
        var errno: Int32
        /// The call is made all the same: its answer was lost.
        var happens = false
        /// Somebody else has a transaction of their own meanwhile.
        var meanwhile: () -> Void = {}
    }

    private let real: NetfilterKernel
    private let lacking: NetworkFeatures
    var failures: [Call: [Failure]] = [:]
    /// Instead of what is not told otherwise.
    var always: [Call: Int32] = [:]
    /// Somebody else is always faster: a number is an old one when a commit names it.
    var isRestless = false
    private(set) var count: [Call: Int] = [:]

    init(_ sockets: NetworkTable.Sockets, lacking: NetworkFeatures = []) {
        real = NetfilterKernel(requests: sockets.requests, monitor: sockets.monitor)
        self.lacking = lacking
    }

    private func perform<Value>(_ call: Call, _ body: () throws(KernelError) -> Value) throws(KernelError) -> Value {
        count[call, default: 0] += 1
        if let failure = failures[call]?.first {
            failures[call]?.removeFirst()
            if failure.happens { _ = try body() }
            failure.meanwhile()
            throw KernelError("told to fail", errno: failure.errno)
        }
        if let errno = always[call] { throw KernelError("told to fail", errno: errno) }
        return try body()
    }

    func generation() throws(KernelError) -> UInt32 {
        try perform(.generation) { () throws(KernelError) in try real.generation() }
    }

    func list(_ kind: NetfilterSocket.Kind) throws(KernelError) -> [NetfilterSocket.Item] {
        try perform(.list) { () throws(KernelError) in try real.list(kind) }
    }

    func commit(_ batch: NetfilterBatch, generation: UInt32, onlyChecks: Bool) throws(NetfilterError) {
        var refusal: NetfilterError?
        do throws(KernelError) {
            try perform(.commit) { () throws(KernelError) in
                do throws(NetfilterError) {
                    if isRestless, generation != 0 { throw NetfilterError(errno: ERESTART, subject: "restless") }
                    try real.commit(batch, generation: generation, onlyChecks: onlyChecks)
                } catch { refusal = error }
            }
        } catch { throw NetfilterError(errno: error.errno, subject: "told to fail") }
        if let refusal { throw refusal }
    }

    func resetQuota(_ name: String) throws(KernelError) {
        try perform(.reset) { () throws(KernelError) in try real.resetQuota(name) }
    }

    func watch(_ wanted: Bool) throws(KernelError) {
        try perform(.watch) { () throws(KernelError) in try real.watch(wanted) }
    }

    func changes() throws(KernelError) -> [NetfilterSocket.Change] {
        try perform(.changes) { () throws(KernelError) in try real.changes() }
    }

    var changeDescriptor: Int32 { real.changeDescriptor }
    func features() -> NetworkFeatures { real.features().subtracting(lacking) }
}

import CLinux
import Glibc

/// A network namespace that a process is in.
public struct NetworkNamespace: ~Copyable, Sendable {
    private let descriptor: Descriptor

    /// One that is kept at a path, as ip-netns(8) does it.
    public init(path: String) throws(KernelError) {
        descriptor = try PathOpening.open(path, flags: OpenFlags.readOnly)
    }

    /// That of a process. ESRCH when it is gone.
    public init(of process: Int32) throws(KernelError) {
        descriptor = try PathOpening.open("/proc/\(process)/ns/net", flags: OpenFlags.readOnly)
    }

    /// Whether the calling thread is in it too.
    public var isOwn: Bool {
        var own = ObjectStatus()
        guard ProcFS.object(of: KernelThread.currentID, "ns/net", into: &own) == 0,
            let status = try? ObjectStatus.of(descriptor: descriptor.raw)
        else { return false }
        return own.isSameObject(as: status)
    }

    /// Its number: never the same for two that exist at a time. 0 when it cannot be told.
    public var number: UInt64 { (try? ObjectStatus.of(descriptor: descriptor.raw))?.inode ?? 0 }

    /// Runs `body` on a thread of its own in this namespace, and waits for it. Sockets that it opens stay there. Needs
    /// CAP_SYS_ADMIN over the namespace.
    public func run<Value>(_ body: () throws(KernelError) -> Value) throws(KernelError) -> Value {
        let raw = descriptor.raw
        return try AsideWork.run(name: "namespace") { () throws(KernelError) in
            let all = try Capabilities.current().permitted
            try KernelError.check("capset", pc_identity_set_effective(all.rawValue, all.rawValue))
            try KernelError.check("setns(CLONE_NEWNET)", pc_identity_enter_namespace(raw))
            return try body()
        }
    }
}

import Glibc
import LinuxKernel

/// The table `inet portcullis` of one network namespace: puts rulesets in force, and makes them again when somebody else
/// has changed them. Used by one thread at a time.
final class NetworkTable: @unchecked Sendable {
    // Unchecked: its owner has a lock.
    private let requests: NetfilterSocket
    private let monitor: NetfilterSocket
    private let log: NetfilterSocket
    /// The group of nfnetlink_log that it reads; `nil` before it has one.
    private(set) var logGroup: UInt16?
    /// What is to be in force.
    private(set) var ruleset: Ruleset
    /// What the kernel had of it right after it came in force.
    private var shape: [NetfilterSocket.Item] = []
    private var resets: [String: UInt64] = [:]
    /// Somebody reads the packets that the ruleset logs.
    private(set) var isLogBound = true
    /// It was not possible to make the table again.
    private(set) var isLost = false

    /// Everything that can be tried again is tried that often.
    private static let attempts = 64

    /// The sockets of a table; they keep the network namespace in which they were opened.
    struct Sockets {
        var requests: Int32
        var monitor: Int32
        var log: Int32

        /// Opens them in the calling thread's network namespace.
        init() throws(KernelError) {
            requests = try NetfilterSocket.open()
            do throws(KernelError) {
                monitor = try NetfilterSocket.open()
                do throws(KernelError) { log = try NetfilterSocket.open() } catch {
                    RawDescriptor.close(monitor)
                    throw error
                }
            } catch {
                RawDescriptor.close(requests)
                throw error
            }
        }
    }

    /// Takes the sockets over; changes nothing.
    init(_ sockets: Sockets) {
        requests = NetfilterSocket(owning: sockets.requests)
        monitor = NetfilterSocket(owning: sockets.monitor)
        log = NetfilterSocket(owning: sockets.log)
        ruleset = Ruleset(logGroup: 0)
    }

    /// What this kernel has for rules.
    var features: NetworkFeatures { NetworkFeatures.probe(requests) }

    /// Readable when somebody has changed something.
    var changeDescriptor: Int32 { monitor.descriptor }

    /// Puts a ruleset in force in place of whatever the table holds; all of it or, when this throws, nothing.
    func apply(_ new: Ruleset, now: UInt64) throws(NetfilterError) {
        for _ in 0..<Self.attempts {
            // One's own change is no news.
            try? monitor.watch(false)
            _ = try? monitor.changes(table: Ruleset.table)
            let generation = try commit(new)
            ruleset = new
            scheduleResets(now)
            guard !new.isEmpty else {
                shape = []
                return
            }
            try? monitor.watch(true)
            shape = currentShape() ?? []
            // Otherwise somebody had a transaction before the watch began, and the shape may be theirs.
            if (try? requests.generation()) == generation { return }
        }
    }

    /// The number of the ruleset that the transaction made.
    private func commit(_ new: Ruleset) throws(NetfilterError) -> UInt32 {
        var last = NetfilterError(errno: EBUSY, subject: "table")
        for attempt in 0..<Self.attempts {
            do {
                let before = try requests.generation()
                let present = Ruleset.Present(
                    chains: try requests.list(.chains, table: Ruleset.table),
                    sets: try requests.list(.sets, table: Ruleset.table),
                    quotas: try requests.list(.quotas, table: Ruleset.table))
                if new.isEmpty, present.isEmpty, ruleset.isEmpty, attempt == 0, !tableExists { return before }
                let batch = try new.batch(replacing: present)
                try requests.commit(batch, generation: before)
                return before == .max ? 1 : before + 1
            } catch let error as KernelError {
                last = NetfilterError(errno: error.errno, subject: "\(error.call)")
            } catch let error as NetfilterError {
                last = error
            } catch {}
            switch last.errno {
            // Somebody else was faster, or the answer was lost: what is there now is looked at anew.
            case ERESTART, EINTR, ENOBUFS: continue
            case EBUSY: usleep(1000 << UInt32(min(attempt, 6)))
            default: throw last
            }
        }
        throw last
    }

    /// Whether there is a table at all, even an empty one.
    private var tableExists: Bool {
        guard let batch = try? NetfilterBatch(table: Ruleset.table), let generation = try? requests.generation() else {
            return false
        }
        batch.deleteTable()
        do {
            try requests.commit(batch, generation: generation, onlyChecks: true)
            return true
        } catch { return false }
    }

    /// Deletes the table, whoever made it; whether there was one.
    func remove() throws(NetfilterError) -> Bool {
        guard tableExists else { return false }
        _ = try commit(Ruleset(logGroup: 0))
        return true
    }

    // MARK: - Log

    /// Hundredths of a second that the kernel may keep packets back.
    private static let logDelay: UInt32 = 5

    /// Readable when packets were logged.
    var logDescriptor: Int32 { logGroup == nil ? -1 : log.descriptor }

    /// Begins to read the packets that the ruleset logs, unless somebody else reads them, or nobody can.
    func bindLog() {
        guard !ruleset.isEmpty, logGroup != ruleset.logGroup else { return }
        isLogBound =
            (try? log.bindLog(group: ruleset.logGroup, bytes: Ruleset.loggedQueryBytes, delay: Self.logDelay)) != nil
        if isLogBound { logGroup = ruleset.logGroup }
    }

    /// Reads logged packets; false when some were lost.
    func readLog(_ body: (LoggedPacket) -> Void) -> Bool { (try? log.readLog(body)) ?? true }

    /// The name of an interface.
    func interfaceName(_ index: UInt32) -> [UInt8] { index == 0 ? [] : log.interfaceName(index) }

    // MARK: - Changes by others

    /// Who has changed the table.
    struct Intruder: Sendable, Equatable {
        var process: Int32
        var name: String
    }

    /// Reads what others did; the one that touched the table, if any did.
    func readChanges() -> Intruder? {
        guard !ruleset.isEmpty else { return nil }
        guard let changes = try? monitor.changes(table: Ruleset.table) else {
            // Too many at once: the table itself tells.
            return isChanged ? Intruder(process: 0, name: "") : nil
        }
        let touched = Set(changes.filter { $0.isInTable && $0.port != requests.port }.map(\.port))
        guard !touched.isEmpty else { return nil }
        let end = changes.first { touched.contains($0.port) && $0.generation != 0 }
        return Intruder(process: end?.process ?? 0, name: end?.name ?? "")
    }

    private func currentShape() -> [NetfilterSocket.Item]? {
        for _ in 0..<Self.attempts {
            guard let chains = try? requests.list(.chains, table: Ruleset.table),
                let sets = try? requests.list(.sets, table: Ruleset.table),
                let rules = try? requests.list(.rules, table: Ruleset.table)
            else { continue }
            return chains + sets + rules
        }
        return nil
    }

    /// The table is not what it was made.
    var isChanged: Bool { !ruleset.isEmpty && currentShape() != shape }

    /// Makes the table again.
    func restore(now: UInt64) throws(NetfilterError) {
        isLost = true
        try apply(ruleset, now: now)
        isLost = false
    }

    // MARK: - Quotas

    private func scheduleResets(_ now: UInt64) {
        let before = resets
        resets = [:]
        for quota in ruleset.quotas where quota.seconds > 0 {
            resets[quota.name] = before[quota.name] ?? now + quota.seconds * 1_000_000_000
        }
    }

    /// When the next quota begins anew, CLOCK_MONOTONIC nanoseconds.
    var nextReset: UInt64? { resets.values.min() }

    /// Begins the quotas anew whose window is over; false when there was none.
    func resetQuotas(now: UInt64) -> Bool {
        var any = false
        for quota in ruleset.quotas {
            guard let due = resets[quota.name], due <= now else { continue }
            any = true
            _ = try? requests.resetQuota(quota.name, table: Ruleset.table)
            // A late reset does not move the windows after it.
            let window = quota.seconds * 1_000_000_000
            resets[quota.name] = due + ((now - due) / window + 1) * window
        }
        return any
    }
}

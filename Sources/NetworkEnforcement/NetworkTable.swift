import Glibc
import LinuxKernel

/// The table `inet portcullis` of one network namespace: puts rulesets in force, and makes them again when somebody else
/// has changed them. Used by one thread at a time.
final class NetworkTable: @unchecked Sendable {
    // Unchecked: its owner has a lock.
    private let kernel: any RulesetKernel
    private let log: NetfilterSocket
    /// The group of nfnetlink_log that it reads; `nil` before it has one.
    private(set) var logGroup: UInt16?
    /// What is to be in force.
    private(set) var ruleset: Ruleset
    /// What the kernel had of it right after it came in force.
    private var shape: [NetfilterSocket.Item] = []
    /// Nobody had a transaction between ours and the look at the shape.
    private var isShapeCertain = false
    private var resets: [String: Reset] = [:]
    /// Somebody reads the packets that the ruleset logs.
    private(set) var isLogBound = true
    /// It was not possible to make the table again.
    private(set) var isLost = false

    /// Everything that can be tried again is tried that often.
    private static let attempts = 80

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
    convenience init(_ sockets: Sockets) {
        self.init(sockets, NetfilterKernel(requests: sockets.requests, monitor: sockets.monitor))
    }

    /// - Parameter kernel: has taken over all sockets but that of the log.
    init(_ sockets: Sockets, _ kernel: any RulesetKernel) {
        self.kernel = kernel
        log = NetfilterSocket(owning: sockets.log)
        ruleset = Ruleset(logGroup: 0)
    }

    /// What this kernel has for rules.
    var features: NetworkFeatures { kernel.features() }

    /// Readable when somebody has changed something.
    var changeDescriptor: Int32 { kernel.changeDescriptor }

    /// Puts a ruleset in force in place of whatever the table holds; all of it or, when this throws, nothing.
    func apply(_ new: Ruleset, now: UInt64) throws(NetfilterError) {
        // Of all that others do from the commit on one is told; what they did before is of no matter any more.
        try? kernel.watch(true)
        _ = try? kernel.changes()
        let generation = try commit(new)
        ruleset = new
        scheduleResets(now)
        guard !new.isEmpty else {
            shape = []
            try? kernel.watch(false)
            return
        }
        shape = currentShape() ?? []
        isShapeCertain = generation != nil && (try? kernel.generation()) == generation
    }

    /// How a transaction is tried, from the politest to one that nobody can be in the way of.
    private enum Manner {
        /// Not if there was another since the table was looked at.
        case checked
        /// Whatever others did, as long as they did it elsewhere.
        case unchecked
        /// Whatever is in the table.
        case afresh

        /// Somebody who has transactions without a pause, be it to be in the way, makes a number old before it can be used.
        init(_ attempt: Int) { self = attempt < 16 ? .checked : attempt < 48 ? .unchecked : .afresh }
    }

    /// How often a list is taken for wrong that nobody seems to have changed.
    private static let doubtLimit = 4

    /// The number of the ruleset that the transaction made, if that is known.
    private func commit(_ new: Ruleset) throws(NetfilterError) -> UInt32? {
        var last = NetfilterError(errno: EBUSY, subject: "table")
        var doubts = 0
        for attempt in 0..<Self.attempts {
            let manner = Manner(attempt)
            var before: UInt32 = 0
            do {
                before = manner == .checked ? try kernel.generation() : 0
                let present = manner == .afresh ? nil : try self.present()
                if let present, new.isEmpty, present.isEmpty, ruleset.isEmpty, attempt == 0, !tableExists {
                    return before
                }
                try kernel.commit(try new.batch(replacing: present), generation: before, onlyChecks: false)
                return manner != .checked ? nil : before == .max ? 1 : before + 1
            } catch let error as KernelError {
                last = NetfilterError(errno: error.errno, subject: "\(error.call)")
            } catch let error as NetfilterError {
                last = error
            } catch {}
            switch last.errno {
            // Somebody else was faster, or the answer was lost: what is there now is looked at anew.
            case ERESTART, EINTR, ENOBUFS: if manner != .checked { Self.pause(attempt) }
            case EBUSY: Self.pause(attempt)
            // Something that was there when it was listed is gone, or the reverse. Kernels that compare the ruleset's number (4.13) say
            // ERESTART instead.
            case ENOENT, EEXIST:
                if manner == .unchecked { continue }
                guard manner == .checked, before != 0 else { throw last }
                // A list can be wrong without the number telling: somebody's transaction that is being prepared, or undone, moves things.
                if let after = try? kernel.generation(), after == before {
                    doubts += 1
                    if doubts == Self.doubtLimit { throw last }
                }
            default: throw last
            }
        }
        throw last
    }

    private func present() throws(KernelError) -> Ruleset.Present {
        Ruleset.Present(chains: try list(.chains), sets: try list(.sets), quotas: try list(.quotas))
    }

    /// Somebody's transactions interrupt a list: it is begun again, at once, as it is done the sooner the shorter it is.
    private func list(_ kind: NetfilterSocket.Kind) throws(KernelError) -> [NetfilterSocket.Item] {
        for _ in 1..<Self.attempts {
            do throws(KernelError) { return try kernel.list(kind) } catch {
                guard error.errno == EINTR || error.errno == ENOBUFS else { throw error }
            }
        }
        return try kernel.list(kind)
    }

    /// A millisecond at first, then longer, some two seconds in all; never quite the same, lest it keeps step with others.
    private static func pause(_ attempt: Int) {
        let most = UInt32(1000) << UInt32(min(attempt, 5))
        usleep(.random(in: most / 2...most))
    }

    /// Whether there is a table at all, even an empty one.
    private var tableExists: Bool {
        for _ in 0..<Self.attempts {
            do {
                let batch = try NetfilterBatch(table: Ruleset.table)
                batch.deleteTable()
                try kernel.commit(batch, generation: 0, onlyChecks: true)
                return true
            } catch let error as NetfilterError {
                guard error.errno == EBUSY || error.errno == ENOBUFS || error.errno == EINTR else { return false }
            } catch { return false }
        }
        return true
    }

    /// Deletes the table, whoever made it; whether there was one.
    func remove() throws(NetfilterError) -> Bool {
        guard tableExists else { return false }
        _ = try commit(Ruleset(logGroup: 0))
        return true
    }

    // MARK: - Log

    /// Readable when packets were logged.
    var logDescriptor: Int32 { logGroup == nil ? -1 : log.descriptor }

    /// Begins to read the packets that the ruleset logs, unless somebody else reads them, or nobody can.
    func bindLog() {
        guard !ruleset.isEmpty, logGroup != ruleset.logGroup else { return }
        isLogBound =
            (try? log.bindLog(group: ruleset.logGroup, bytes: Ruleset.loggedQueryBytes)) != nil
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
        guard let changes = try? kernel.changes() else {
            // Too many at once: the table itself tells, if it is known what it was.
            return !isShapeCertain || isChanged ? Intruder(process: 0, name: "") : nil
        }
        let touched = Set(changes.filter(\.isInTable).map(\.port))
        guard !touched.isEmpty else { return nil }
        // The kernel tells of a transaction's objects first, then of its end, which names the process: a reader on the only processor
        // comes in between.
        var end = Self.end(of: touched, in: changes)
        for _ in 0..<Self.endTries where end == nil {
            var poll = PollList()
            poll.add(kernel.changeDescriptor)
            _ = poll.wait(timeoutMilliseconds: Self.endPause)
            guard let more = try? kernel.changes() else { break }
            end = Self.end(of: touched, in: more)
        }
        return Intruder(process: end?.process ?? 0, name: end?.name ?? "")
    }

    private static func end(of ports: Set<UInt32>, in changes: [NetfilterSocket.Change]) -> NetfilterSocket.Change? {
        changes.first { ports.contains($0.port) && $0.generation != 0 }
    }

    /// How often, and for how many milliseconds each time, the end of a transaction is waited for.
    private static let endTries = 10
    private static let endPause: Int32 = 10

    private func currentShape() -> [NetfilterSocket.Item]? {
        guard let chains = try? list(.chains), let sets = try? list(.sets), let rules = try? list(.rules) else {
            return nil
        }
        return chains + sets + rules
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

    /// When a quota begins anew, CLOCK_MONOTONIC nanoseconds.
    private struct Reset {
        /// The end of its window.
        var due: UInt64
        /// The same, or later when it could not be done then.
        var next: UInt64
    }

    /// Nanoseconds between two tries.
    private static let resetPause: UInt64 = 1_000_000_000

    private func scheduleResets(_ now: UInt64) {
        let before = resets
        resets = [:]
        for quota in ruleset.quotas where quota.seconds > 0 {
            let due = now + quota.seconds * 1_000_000_000
            resets[quota.name] = before[quota.name] ?? Reset(due: due, next: due)
        }
    }

    /// When the next quota begins anew, CLOCK_MONOTONIC nanoseconds.
    var nextReset: UInt64? { resets.values.map(\.next).min() }

    /// Begins the quotas anew whose window is over; false when there was none that could be.
    func resetQuotas(now: UInt64) -> Bool {
        var any = false
        for quota in ruleset.quotas {
            guard var reset = resets[quota.name], reset.next <= now else { continue }
            do {
                try kernel.resetQuota(quota.name)
                any = true
                // A late reset does not move the windows after it.
                let window = quota.seconds * 1_000_000_000
                reset.due += ((now - reset.due) / window + 1) * window
                reset.next = reset.due
            } catch { reset.next = now + Self.resetPause }
            resets[quota.name] = reset
        }
        return any
    }
}

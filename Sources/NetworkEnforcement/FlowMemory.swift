import EventRing
import PolicyEngine

/// What was reported lately: a flow that is refused sends its packet again and again, and one alert is enough.
struct FlowMemory {
    private struct Key: Hashable {
        /// Workloads can have the same rules.
        var workload: UInt64
        var rule: UInt32
        /// The numbers of rules mean something in their generation only.
        var generation: UInt64
        /// `nil` for a quota, of which one alert tells whatever uses it up, and for a query.
        var flow: PacketFlow?
        /// What name is asked for: addresses and ports mean nothing, as the same question is put in several ways.
        var query: [UInt8]?
    }

    /// A flow is not told of again for that long, nanoseconds.
    static let silence: UInt64 = 10_000_000_000
    private let capacity: Int
    private var told: [Key: UInt64] = [:]

    init(capacity: Int = 8192) { self.capacity = capacity }

    /// Whether an alert is due.
    ///
    /// - Parameter now: CLOCK_MONOTONIC, nanoseconds.
    mutating func isNew(_ flow: PacketFlow, _ tag: PacketTag, now: UInt64) -> Bool {
        let key = Key(
            workload: tag.workload ?? 0, rule: tag.rule, generation: tag.generation,
            flow: flow.origin == .quota ? nil : flow)
        return isNew(key, until: flow.origin == .quota ? .max : now + Self.silence, now)
    }

    /// The same of a query.
    mutating func isNew(_ name: [UInt8], _ tag: PacketTag, rule: RuleID, now: UInt64) -> Bool {
        let key = Key(workload: tag.workload ?? 0, rule: rule.rawValue, generation: tag.generation, query: name)
        return isNew(key, until: now + Self.silence, now)
    }

    private mutating func isNew(_ key: Key, until end: UInt64, _ now: UInt64) -> Bool {
        if let until = told[key], now < until { return false }
        if told.count >= capacity { told = told.filter { now < $0.value } }
        // With no room left more alerts come than need be, and none is missing.
        if told.count < capacity { told[key] = end }
        return true
    }

    /// A quota begins anew: the next time that it is used up is news. All of them are, as it is not known which rule has it.
    mutating func forgetQuotas() { told = told.filter { $0.value != .max } }
}

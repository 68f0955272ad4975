import Synchronization

/// From event to line: build, throttle, encode once per encoding, offer to every sink, keep the books.
///
/// Safe to use from several threads; events are handled one at a time. It never waits for a sink.
public final class TelemetryPipeline: Sendable {
    private struct State: Sendable {
        var throttle: AlertThrottle
        var ledger = LossLedger()
        /// Whom the next `AlertThreshold` record of a key is about.
        var silenced: BoundedLRU<ThrottleKey, AlertWorkload>
    }

    private let builder: AlertBuilder
    private let clock: TelemetryClock
    private let queues: [SinkQueue]
    private let encoders: [AlertEncoder]
    private let state: Mutex<State>

    /// Creates a pipeline; the queues are not started.
    public init(
        builder: AlertBuilder, throttle: AlertThrottle = AlertThrottle(), queues: [SinkQueue],
        clock: TelemetryClock = .system
    ) {
        self.builder = builder
        self.clock = clock
        self.queues = queues
        encoders = AlertEncoding.allCases.filter { encoding in queues.contains { $0.encoding == encoding } }
            .map(AlertEncoder.init)
        state = Mutex(State(throttle: throttle, silenced: BoundedLRU(capacity: 256)))
    }

    /// Starts a thread per sink. Returns false when one could not be started.
    @discardableResult public func start() -> Bool {
        queues.reduce(true) { $1.start() && $0 }
    }

    /// Handles one event.
    ///
    /// - Returns: whether it was emitted (offered to the sinks) and not suppressed.
    @discardableResult public func process(
        _ event: EnforcementEvent, rule: RuleMetadata, workload: AlertWorkload? = nil
    ) -> Bool {
        var alert = builder.alert(for: event, rule: rule, workload: workload)
        if event.kind == .observation {
            // Upstream does not throttle logs either; files have alerts only.
            let line = AlertEncoder(.spool).encode(alert)
            for queue in queues where queue.encoding == .spool { queue.offer(line, isBlock: false, isMessage: true) }
            state.withLock {
                $0.ledger.observed += 1
                $0.ledger.lostBefore += event.lossCount
            }
            return true
        }
        let key = workload?.throttleKey ?? .host
        let kind = AlertThrottle.kind(of: alert)
        let now = clock.monotonic()
        return state.withLock { state in
            state.ledger.generated += 1
            state.ledger.lostBefore += event.lossCount
            // Notices are few and say what nobody else says.
            guard event.kind != .notice else {
                state.ledger.emitted += 1
                publish(alert)
                return true
            }
            let decision = state.throttle.admit(key, kind: kind, now: now)
            if decision.isEmitted {
                alert.suppressed = decision.suppressedBefore
                state.ledger.emitted += 1
                publish(alert)
            } else {
                state.ledger.suppressed += 1
            }
            if decision.isAnnounced {
                if let workload { state.silenced.store(workload, for: key) }
                announce(&state, key, suppressed: 0)
            }
            return decision.isEmitted
        }
    }

    /// Tells gRPC clients of the agent itself; files have alerts only.
    public func tell(_ level: AgentMessage.Level, _ text: String) {
        let line = AgentMessage(wallClock: clock.wall(), level: level, text: text).encoded(of: builder.node)
        for queue in queues where queue.encoding == .spool { queue.offer(line, isBlock: false, isMessage: true) }
    }

    /// Changes throttling; counts and silences go on.
    public func setThrottling(_ settings: ThrottleSettings) {
        state.withLock { $0.throttle.settings = settings }
    }

    /// Tells of suppressed events whose workload's silence is over and that has been quiet since. Call it every few seconds.
    public func tick() {
        report(now: clock.monotonic())
    }

    /// Tells of everything suppressed, then empties and stops the sinks.
    public func stop() {
        report(now: .max)
        for queue in queues { queue.stop() }
    }

    /// The books at this moment.
    public var ledger: LossLedger {
        state.withLock { state in
            var ledger = state.ledger
            ledger.untold = state.throttle.pending
            ledger.sinks = queues.map(\.account)
            return ledger
        }
    }

    private func report(now: UInt64) {
        state.withLock { state in
            for (key, suppressed) in state.throttle.takePending(now: now) {
                announce(&state, key, suppressed: suppressed)
            }
        }
    }

    private func announce(_ state: inout State, _ key: ThrottleKey, suppressed: UInt64) {
        let record = builder.thresholdRecord(
            settings: state.throttle.settings, wallClock: clock.wall(), workload: state.silenced.value(for: key),
            suppressed: suppressed)
        state.ledger.announcements += 1
        publish(record)
    }

    private func publish(_ alert: Alert) {
        for encoder in encoders {
            let line = encoder.encode(alert)
            for queue in queues where queue.encoding == encoder.encoding { queue.offer(line, isBlock: alert.isBlock) }
        }
    }
}

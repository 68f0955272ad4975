/// The descriptor numbers that worker and front find open when they start. Fixed, so that nothing about them has to be parsed.
package enum RoleDescriptor {
    /// Sealed settings.
    package static let settings: Int32 = 3
    /// Message socket to the guardian (worker, front).
    package static let guardian: Int32 = 4
    /// Status board (worker, front).
    package static let board: Int32 = 5
    /// Message socket between front and worker.
    package static let peer: Int32 = 6
    /// Ring of block alerts.
    package static let blockRing: Int32 = 7
    /// Ring of everything else.
    package static let eventRing: Int32 = 8
    /// Eventfd that wakes the front when a ring has records.
    package static let ringWake: Int32 = 9
    /// Worker: the permission group. Front: the listening control socket.
    package static let primary: Int32 = 10
    /// Worker: snapshot in force, when there is one. Front: the alerts file, when there is one.
    package static let secondary: Int32 = 11
    /// Front: the listening socket of container runtimes.
    package static let runtimes: Int32 = 12
    /// Front: eventfd that wakes the gateway when the spool has records; there is none without a gateway.
    package static let spoolWake: Int32 = 13
    /// Worker: the permission group of containers.
    package static let containers: Int32 = 12
    /// Worker in another user namespace: that namespace.
    package static let namespace: Int32 = 12
    /// Worker: first further permission group of an interrupted reload.
    package static let firstRetiring: Int32 = 13
}

/// The descriptors that the guardian is started with. Their numbers are free ones among those that whoever started the agent
/// left open, which stay so, and come as its first arguments.
package struct GuardianDescriptors: Equatable {
    /// Sealed settings.
    package var settings: Int32
    /// The open program of the front.
    package var frontProgram: Int32
    /// The open program of the gateway; negative for none.
    package var gatewayProgram: Int32
    /// The open program that looks for containers; negative for none.
    package var finderProgram: Int32

    /// Names the descriptors.
    package init(settings: Int32, frontProgram: Int32, gatewayProgram: Int32 = -1, finderProgram: Int32 = -1) {
        (self.settings, self.frontProgram, self.gatewayProgram) = (settings, frontProgram, gatewayProgram)
        self.finderProgram = finderProgram
    }

    /// As arguments.
    package var arguments: [String] { ["\(settings)", "\(frontProgram)", "\(gatewayProgram)", "\(finderProgram)"] }

    /// Reads the first arguments behind the role; `nil` when they are none.
    package init?(_ arguments: [String]) {
        let numbers = arguments.prefix(4).compactMap { Int32($0) }
        guard numbers.count == 4, numbers.prefix(2).allSatisfy({ $0 > 2 }) else { return nil }
        self.init(
            settings: numbers[0], frontProgram: numbers[1], gatewayProgram: numbers[2], finderProgram: numbers[3])
    }
}

/// The roles of the agent, each its own process.
package enum AgentRole: String, Sendable {
    case guardian, worker, front
    /// A worker in another user namespace.
    case visitor
}

import PolicyModel

/// Everything that a verdict may depend on; the reference always knows all of it.
struct ReferenceOperation {
    /// What is asked.
    enum Kind: CaseIterable { case process, file, networkProtocol, dns, capability, syscall }

    var kind: Kind
    /// The object of a process or file operation, without trailing slash.
    var path: [UInt8] = []
    /// Executable of the parent (process) or of the caller (all others); empty when there is none.
    var source: [UInt8] = []
    var isWrite = false
    var isOwner = false
    var hasTerminal = false
    var enteredWorkload = false
    var pid: Int32 = 1
    var arguments: [[UInt8]] = []
    /// `SOCK_*` without flags.
    var socketType: Int32 = 1
    /// `IPPROTO_*`.
    var protocolNumber: Int32 = 0
    /// The socket is AF_INET or AF_INET6.
    var isInternet = true
    /// The query of a DNS operation, or the name of a system call.
    var name = ""
    var capability: UInt8 = 0
    /// Path argument of a system call.
    var syscallPath: [UInt8]?
}

/// What the reference says about an operation.
struct ReferenceVerdict: Equatable {
    enum Effect { case allow, audit, block }
    enum Reason: Equatable {
        case nothing
        case defaultPosture
        /// Line of the rule's or preset's position.
        case line(Int)
    }

    var effect: Effect
    /// Meaningful for `audit` and `block`.
    var reason: Reason

    static let allow = ReferenceVerdict(effect: .allow, reason: .nothing)
}

/// The branches of docs/semantics.md; the property test requires that each was taken often enough to mean something.
enum ReferenceBranch: Int, CaseIterable {
    case processExactSource, processDirectorySource, processExact, processNameSource, processName, processPattern
    case processDirectory, processMiss
    case fileExactSource, fileDirectorySource, fileExact, filePattern, fileDirectory, fileMiss
    case exactFromDirectory, recursiveDirectory, nonRecursiveDirectory, shadowedByRecursive, replacedKey
    case patternBlockBeforeAllow
    case argumentsListed, argumentsNotListed, terminalDenied, terminalBlockSkipped, terminalPassed
    case ownerDenied, ownerAllowed, ownerReadOnlyDenied, readOnlyDenied, readOnlyAllowed, actionBlock, actionAllow
    case postureBlock, postureAudit, postureAllow, noAllowList
    case auditExactSource, auditDirectorySource, auditExact, auditNameSource, auditName, auditPattern, auditDirectory
    case auditNotFiring, auditAfterDefaultPosture, auditSuppressedByBlock
    case filelessBlock, filelessAudit, environBlock, environAudit, procBlock, procAudit, execBlock, execAudit
    case presetSuppressedByRule, presetBeforeAuditRule
    case protocolTypeSource, protocolNumberSource, protocolType, protocolNumber, protocolMiss, protocolAudit
    case protocolNotInternet, protocolExpandedAll
    case dnsExactSource, dnsParentSource, dnsExact, dnsParent, dnsMiss, dnsAudit
    case capabilitySource, capabilityAny, capabilityMiss, capabilityAudit
    case syscallWithoutPath, syscallExactPath, syscallChild, syscallBelow, syscallSource, syscallSourceDirectory
    case syscallMiss
}

/// How often each branch was taken.
struct ReferenceCoverage {
    private(set) var counts = [Int](repeating: 0, count: ReferenceBranch.allCases.count)

    mutating func note(_ branch: ReferenceBranch) { counts[branch.rawValue] += 1 }

    mutating func add(_ other: ReferenceCoverage) {
        for index in counts.indices { counts[index] += other.counts[index] }
    }

    /// Branches taken fewer than `minimum` times, as `name: count`.
    func rare(below minimum: Int) -> [String] {
        ReferenceBranch.allCases.filter { counts[$0.rawValue] < minimum }.map { "\($0): \(counts[$0.rawValue])" }
    }
}

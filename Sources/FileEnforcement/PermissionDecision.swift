import LinuxKernel
import PolicyEngine

/// What happens to one permission event, and what the report about it says.
package struct PermissionDecision {
    /// The answer to the kernel.
    package var allow: Bool
    /// Block and audit are reported; allow is not.
    package var effect: Effect
    package var category: Category
    package var rule: RuleID
    /// The rule was found under the name in `PermissionDecider.alias`, not under the event's own path.
    var matchedByObject = false
    /// The path was made in a mount that the host's namespace does not have.
    var pathUntrusted = false
    /// Set when a failure row decided.
    package var failure: FailureRow?
    /// The same thread just executed the same object, or was denied to, and was reported: a shell whose execve failed opens the file
    /// to see what it is, and the interpreter of a script reads it.
    package var isRepeat = false
    /// The object may be ignored until it is written: nothing but its name was asked for, and nothing was found.
    var cacheable = false

    /// A decision by a rule or posture.
    package init(allow: Bool, effect: Effect, category: Category, rule: RuleID) {
        self.allow = allow
        self.effect = effect
        self.category = category
        self.rule = rule
    }

    /// Nothing forbids it, and nothing is to be reported.
    package static func passed(_ category: Category) -> PermissionDecision {
        PermissionDecision(allow: true, effect: .allow, category: category, rule: .none)
    }
    /// What the failure table says.
    package static func failed(_ row: FailureRow, _ category: Category, _ failures: FailureTable) -> PermissionDecision
    {
        let allow = failures.allows(row)
        var decision = PermissionDecision(
            allow: allow, effect: allow ? .audit : .block, category: category, rule: .none)
        decision.failure = row
        return decision
    }
}

/// Decides permission events by the object behind the event's descriptor: its path in the host's view, and every path under
/// which the object is known. Holds buffers only; allocated once.
package struct PermissionDecider {
    package var facts = PermissionFacts()
    /// Executions are told by fanotify, to which the loader that the kernel opens is one of its own.
    package var seesLoaders = true
    private let pathBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 8192, alignment: 8)
    private let nameBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 16384, alignment: 8)
    /// Of the object looked at: bytes of its name in `pathBuffer`, and why it could not be identified; negated errnos.
    private var nameLength = 0
    private var identityError: Int32 = 0
    /// Descriptor of that object, and how many bytes of `path` are behind its name.
    private var seen: (object: Int32, tail: Int) = (-1, 0)
    /// The event's path in the host's view.
    package private(set) var path = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The other name that decided, if one did.
    package private(set) var alias = UnsafeRawBufferPointer(start: nil, count: 0)
    /// Thread whose last exec was allowed, by thread id: tells an ELF interpreter from a loader run by hand where the
    /// kernel's stack cannot be read.
    private var lastExec: (thread: Int32, isAllowed: Bool) = (0, false)
    /// What the deciders of the other threads answered, too.
    private let executions: RecentExecutions

    /// A regular file with one name: another name could be ruled differently.
    var objectIsCacheable: Bool { facts.object.isRegularFile && facts.object.nlink == 1 }

    package func deallocate() {
        pathBuffer.deallocate()
        nameBuffer.deallocate()
        facts.deallocate()
    }

    package init(_ executions: RecentExecutions) { self.executions = executions }

    /// Whose marks an event comes of. One object can have both kinds, and is then asked about twice: each time about those whom the mark is for.
    package enum Marks: Sendable {
        /// The host's policies and those of trees.
        case host
        /// Those of containers.
        case containers
    }

    /// Decides one event. `descriptor` stays open and owned by the caller.
    ///
    /// - Parameters:
    ///   - access: what is asked for.
    ///   - marks: whose the event is of.
    ///   - state: the host's; becomes what it was decided with, for the report.
    package mutating func decide(
        descriptor: Int32, thread: Int32, isExec: Bool, access: PermissionFacts.Access, of marks: Marks,
        state: inout UnsafePointer<EnforcementState>
    ) -> PermissionDecision {
        look(at: descriptor, thread: thread, isExec: isExec, access: access)
        let category: Category = isExec ? .process : .file
        guard !state.pointee.containers.isEmpty, let slot = facts.container(state) else {
            return marks == .host
                ? decideSeen(descriptor, isExec: isExec, access: access, state) : .passed(category)
        }
        if slot.isSupervised {
            // Its opens and executions are decided as the calls that they are; all but those of somebody who came in without its filter.
            if facts.hasFilter() { return .passed(category) }
        } else if marks == .host || facts.isOfStarter(slot) {
            return .passed(category)
        }
        guard let view = slot.state else { return .failed(.snapshotMissing, category, .failClosed) }
        state = view
        return decideSeen(descriptor, isExec: isExec, access: access, view)
    }

    /// Reads what an object is called and what it is.
    ///
    /// - Returns: 0 or a negated errno of the latter.
    @discardableResult
    package mutating func look(
        at descriptor: Int32, thread: Int32, isExec: Bool, access: PermissionFacts.Access
    ) -> Int32 {
        facts.begin(thread: thread, isExec: isExec, access: access)
        alias = UnsafeRawBufferPointer(start: nil, count: 0)
        path = alias
        nameLength = PathName.ofDescriptor(descriptor, into: pathBuffer)
        seen = (descriptor, 0)
        identityError = facts.identify(descriptor)
        return identityError
    }

    /// What the kernel calls the object that was looked at; `nil` when it could not be read.
    package var nameSeen: UnsafeRawBufferPointer? {
        nameLength > 0 ? UnsafeRawBufferPointer(rebasing: pathBuffer[0..<nameLength]) : nil
    }

    /// Decides about the object that was just looked at.
    package mutating func decideSeen(
        _ descriptor: Int32, isExec: Bool, access: PermissionFacts.Access, _ state: UnsafePointer<EnforcementState>
    ) -> PermissionDecision {
        let category: Category = isExec ? .process : .file
        let failures = state.pointee.failures
        facts.set(access: access)
        let length = nameLength
        guard identityError == 0 else { return .failed(.identityUnavailable, category, failures) }
        guard length > 0, length < pathBuffer.count else {
            if let known = knownName(descriptor, state) {
                return judgeAlias(known, category, state) ?? .passed(category)
            }
            return .failed(length > 0 || length == -36 ? .pathTooLong : .pathUnavailable, category, failures)
        }
        var end = length
        let raw = UnsafeRawBufferPointer(rebasing: pathBuffer[0..<length])
        if facts.object.nlink == 0 { end = DeletedSuffix.strippedLength(raw) }
        path = UnsafeRawBufferPointer(rebasing: pathBuffer[0..<end])
        var decision = judgeNames(category, state)
        if decision.failure != nil || !decision.allow { return finish(decision, isExec) }
        if let known = knownName(descriptor, state), let other = judgeAlias(known, category, state) {
            decision = stricter(decision, other, alias: known)
        }
        if !isExec, access == .open || access == .openToRead, decision.allow, state.pointee.hasProcessRules {
            judgeInterpreted(state, &decision)
        }
        return finish(decision, isExec)
    }

    /// Decides about a name that does not exist yet, in a directory: its creation, or being the new name of something. What depends
    /// on an object's owner depends on the directory's, as in KubeArmor's hooks.
    ///
    /// - Parameter parent: descriptor of the directory; it stays open and owned by the caller.
    package mutating func decide(
        name: UnsafeRawBufferPointer, in parent: Int32, thread: Int32, state: UnsafePointer<EnforcementState>
    ) -> PermissionDecision {
        let failures = state.pointee.failures
        facts.begin(thread: thread, isExec: false, access: .write)
        alias = UnsafeRawBufferPointer(start: nil, count: 0)
        path = alias
        var length = PathName.ofDescriptor(parent, into: pathBuffer)
        seen = (parent, name.count)
        guard facts.identify(parent) == 0 else { return .failed(.identityUnavailable, .file, failures) }
        guard length > 0 else { return .failed(.pathUnavailable, .file, failures) }
        guard length + 1 + name.count < pathBuffer.count else { return .failed(.pathTooLong, .file, failures) }
        if facts.object.nlink == 0 {
            length = DeletedSuffix.strippedLength(UnsafeRawBufferPointer(rebasing: pathBuffer[0..<length]))
        }
        if length > 1 {
            pathBuffer[length] = UInt8(ascii: "/")
            length += 1
        }
        UnsafeMutableRawBufferPointer(rebasing: pathBuffer[length...]).copyMemory(from: name)
        path = UnsafeRawBufferPointer(rebasing: pathBuffer[0..<(length + name.count)])
        return judgeNames(.file, state)
    }

    /// Decides about the renaming of a directory, which takes everything below it elsewhere: it must not lead to anything that a
    /// Block rule names. To be asked right after `decide` about the directory itself.
    ///
    /// - Returns: `nil` when no rule is below it.
    package mutating func decideMove(_ state: UnsafePointer<EnforcementState>) -> PermissionDecision? {
        var next = state.pointee.guarded.first(facts.object.device, facts.object.inode)
        while let subject = next {
            next = state.pointee.guarded.subject(subject.next)
            if subject.workload != SnapshotBundle.host, subject.workload != facts.workload(state) { continue }
            var decision = PermissionDecision(allow: false, effect: .block, category: .file, rule: subject.rule)
            if subject.path.count > 0 {
                decision = judge(subject.path, .file, state)
                if decision.failure == nil, decision.allow || decision.rule == .defaultPosture { continue }
            }
            decision.matchedByObject = true
            return decision
        }
        return nil
    }

    /// Decides by the path as the host has it and as the caller sees it.
    private mutating func judgeNames(
        _ category: Category, _ state: UnsafePointer<EnforcementState>
    ) -> PermissionDecision {
        let asSeen = path
        var pathUntrusted = false
        switch name(path, state) {
        case .canonical: break
        case .translated(let count): path = UnsafeRawBufferPointer(rebasing: nameBuffer[0..<count])
        case .unknown:
            pathUntrusted = true
            // A name nobody can vouch for never satisfies an allow-list; a memory file's is on none.
            if !isMemoryFile,
                state.pointee.snapshot.isAllowList(category) || ownSnapshot(state)?.isAllowList(category) == true
            {
                var decision = PermissionDecision.failed(.mountUnknown, category, state.pointee.failures)
                decision.pathUntrusted = true
                return decision
            }
        }
        var decision = judge(path, category, state)
        decision.pathUntrusted = pathUntrusted
        if decision.failure == nil, decision.allow, asSeen.baseAddress != path.baseAddress {
            decision = stricter(decision, judge(asSeen, category, state), alias: asSeen)
        }
        return decision
    }

    /// memfd_create(2): a link to it can only be made from outside of every directory.
    private var isMemoryFile: Bool {
        facts.object.nlink == 0 && ByteText.suffix(of: path, after: "/memfd:") != nil
    }

    private mutating func finish(_ decision: PermissionDecision, _ isExec: Bool) -> PermissionDecision {
        if isExec {
            lastExec = (facts.thread, decision.allow)
            executions.note(
                facts.thread, facts.object.device, facts.object.inode, isAllowed: decision.allow)
        }
        return decision
    }

    /// A rule found by another name of the object counts when it is a rule, not a default, and is stricter.
    private mutating func stricter(
        _ first: PermissionDecision, _ second: PermissionDecision, alias name: UnsafeRawBufferPointer
    ) -> PermissionDecision {
        guard second.rule != .none, second.rule != .defaultPosture, second.effect.rawValue > first.effect.rawValue
        else {
            var result = first
            result.cacheable = first.cacheable && second.cacheable
            return result
        }
        alias = name
        var result = second
        result.matchedByObject = true
        result.pathUntrusted = first.pathUntrusted
        result.cacheable = false
        return result
    }

    private mutating func judgeAlias(
        _ known: UnsafeRawBufferPointer, _ category: Category, _ state: UnsafePointer<EnforcementState>
    ) -> PermissionDecision? {
        var decision = judge(known, category, state)
        guard decision.rule != .none, decision.rule != .defaultPosture else { return nil }
        if path.count == 0 {
            alias = known
            decision.matchedByObject = true
        }
        return decision
    }

    /// The policies of the caller's own workload, besides the host's.
    private mutating func ownSnapshot(_ state: UnsafePointer<EnforcementState>) -> Snapshot? {
        state.pointee.workloads.snapshot(of: facts.workload(state))
    }

    /// Decides by the host's policies, and by those of the caller's own workload: the stricter counts.
    private mutating func judge(
        _ name: UnsafeRawBufferPointer, _ category: Category, _ state: UnsafePointer<EnforcementState>
    ) -> PermissionDecision {
        var decision = judge(name, category, state.pointee.snapshot, state)
        if state.pointee.workloads.isEmpty { return decision }
        if decision.allow, decision.failure == nil, let own = ownSnapshot(state) {
            let other = judge(name, category, own, state)
            let isCacheable = decision.cacheable && other.cacheable
            if other.effect.rawValue > decision.effect.rawValue || other.failure != nil { decision = other }
            decision.cacheable = isCacheable
        }
        // The kernel's cache is for everybody.
        if decision.cacheable {
            decision.cacheable = state.pointee.workloads.allow(
                ObjectOperation(category: category, path: name), but: facts.workload(state))
        }
        return decision
    }

    /// Asks the engine, finding out facts as it wants them.
    private mutating func judge(
        _ name: UnsafeRawBufferPointer, _ category: Category, _ snapshot: Snapshot,
        _ state: UnsafePointer<EnforcementState>
    ) -> PermissionDecision {
        var operation = ObjectOperation(category: category, path: name)
        // Each round names a new fact, and there are as many as bits in a FactSet.
        for round in 0..<8 {
            let verdict = snapshot.verdict(for: operation)
            if verdict.missing.isEmpty {
                if category == .process, verdict.rule == .defaultPosture, facts.isExec, isElfInterpreter(state) {
                    return .passed(category)
                }
                var decision = PermissionDecision(
                    allow: verdict.effect != .block, effect: verdict.effect, category: category, rule: verdict.rule)
                decision.cacheable = round == 0 && verdict.effect == .allow
                return decision
            }
            guard facts.supply(verdict.missing, to: &operation, state: state.pointee) else { break }
        }
        return .failed(.factUnavailable, category, state.pointee.failures)
    }

    /// A known interpreter or loader that opens a file named by a process rule runs it: `sh script`, `ld.so program`. Only
    /// rules count here, not the default posture: an interpreter also opens files that it does not run.
    private mutating func judgeInterpreted(
        _ state: UnsafePointer<EnforcementState>, _ decision: inout PermissionDecision
    ) {
        let operation = ObjectOperation(category: .process, path: path)
        func isSilent(_ verdict: Verdict) -> Bool {
            verdict.missing.isEmpty && (verdict.effect == .allow || verdict.rule == .defaultPosture)
        }
        if isSilent(state.pointee.snapshot.verdict(for: operation)),
            ownSnapshot(state).map({ isSilent($0.verdict(for: operation)) }) ?? true
        {
            return
        }
        // The next opener may be an interpreter, so this object must be asked about again.
        decision.cacheable = false
        var opener = ObjectStatus()
        guard ProcFS.executableObject(of: facts.thread, into: &opener) == 0,
            state.pointee.interpreters.find(opener.device, opener.inode) != nil
        else { return }
        // An execution opens the file too, and was decided as one.
        facts.readSystemCall()
        if OpenIntent.of(facts.systemCall, tid: facts.thread).isExecution { return }
        let run = judge(path, .process, state)
        if run.rule != .defaultPosture, run.effect != .allow || run.failure != nil {
            decision = run
            decision.isRepeat = executions.contains(
                facts.thread, facts.object.device, facts.object.inode, isAllowed: run.allow)
        }
    }

    /// In an allow-list of programs, the loader that the kernel itself opens for a listed program needs no entry of its
    /// own; the same loader run by hand does. The waiting thread's kernel stack tells the two apart.
    private func isElfInterpreter(_ state: UnsafePointer<EnforcementState>) -> Bool {
        guard seesLoaders, state.pointee.listsProcesses,
            state.pointee.interpreters.find(facts.object.device, facts.object.inode) == 1
        else { return false }
        switch ProcFS.kernelStackContains("load_elf_binary", of: facts.thread) {
        case true?: return true
        case false?: return false
        case nil: return lastExec.thread == facts.thread && lastExec.isAllowed
        }
    }

    @inline(__always)
    private func name(_ path: UnsafeRawBufferPointer, _ state: UnsafePointer<EnforcementState>) -> MountNames.Name {
        if let name = state.pointee.mounts.name(of: path, mountID: facts.object.mountID, into: nameBuffer) {
            return name
        }
        if facts.containerNumber == 0, let length = hostName(state) { return .translated(length) }
        guard let entry = ForeignMount.find(facts.object.mountID, of: facts.thread) else { return .unknown }
        return state.pointee.mounts.name(of: path, foreign: entry, into: nameBuffer)
    }

    /// Writes the host's name for what was looked at, which is known by a mount that the host does not have; its length.
    private func hostName(_ state: UnsafePointer<EnforcementState>) -> Int? {
        guard
            var length = state.pointee.mounts.name(
                ofObject: seen.object, device: facts.object.device, into: nameBuffer)
        else { return nil }
        if facts.object.nlink == 0 {
            length = DeletedSuffix.strippedLength(UnsafeRawBufferPointer(rebasing: nameBuffer[..<length]))
        }
        guard seen.tail > 0 else { return length }
        guard length + 1 + seen.tail <= nameBuffer.count else { return nil }
        if length > 1 {
            nameBuffer[length] = UInt8(ascii: "/")
            length += 1
        }
        UnsafeMutableRawBufferPointer(rebasing: nameBuffer[length...]).copyMemory(
            from: UnsafeRawBufferPointer(rebasing: path[(path.count - seen.tail)...]))
        return length + seen.tail
    }

    /// Another path under which the object was known when its rules were loaded.
    @inline(__always)
    private func knownName(
        _ descriptor: Int32, _ state: UnsafePointer<EnforcementState>
    ) -> UnsafeRawBufferPointer? {
        guard let entry = state.pointee.index.find(device: facts.object.device, inode: facts.object.inode) else {
            return nil
        }
        if entry.path.count == path.count, let a = entry.path.baseAddress, let b = path.baseAddress,
            Self.equal(a, b, path.count)
        {
            return nil
        }
        return FileHandle.hash(ofDescriptor: descriptor) == entry.handle ? entry.path : nil
    }

    @inline(__always)
    private static func equal(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ count: Int) -> Bool {
        var i = 0
        while i < count {
            if a.load(fromByteOffset: i, as: UInt8.self) != b.load(fromByteOffset: i, as: UInt8.self) { return false }
            i &+= 1
        }
        return true
    }
}

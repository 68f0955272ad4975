import FileEnforcement
import Glibc
import LinuxKernel

/// connect(2), listen(2) and accept(2), on a copy of the caller's descriptor: what it is open on is told by the kernel, and cannot be exchanged
/// meanwhile (docs/adr/0016). Sends are in `SendBroker.swift`, bind(2) is in `BindCall.swift`.
extension CallBroker {
    /// What is known of a call on a socket while it is performed.
    struct SocketCase {
        var request: SocketRequest
        var notification: SystemCallNotification
        var tree: TreeTable.Tree
        /// A copy of the caller's descriptor.
        var socket: Int32
        var kind: SocketKind
        /// No other thread has the caller's descriptors.
        var isAlone: Bool
        /// Neither the descriptor nor the call says that nobody waits.
        var blocks: Bool
        var unanswered: UnansweredCalls?
        /// It was begun, and waited.
        var wait: SocketWait?
    }

    /// Performs a call, lets it go on, or refuses it.
    ///
    /// - Parameter wait: what the call waited for, when it comes again.
    mutating func run(
        _ request: SocketRequest, _ notification: SystemCallNotification, in tree: TreeTable.Tree,
        _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>, unanswered: UnansweredCalls?,
        wait: SocketWait?
    ) -> Answer {
        defer { walk.close() }
        let thread = notification.thread
        guard caller.read(of: thread) == 0 else {
            _ = judge.fail(.factUnavailable, .networkProtocol, state)
            return Self.denied
        }
        let socket = wait?.socket ?? SocketCalls.copy(request.socket, of: caller.process, thread: thread)
        guard socket >= 0 else {
            // Nothing is open there.
            if socket == -EBADF { return .result(-Int(EBADF)) }
            _ = judge.fail(socket == -EMFILE ? .descriptorExhausted : .factUnavailable, .networkProtocol, state)
            return Self.denied
        }
        var keeps = false
        defer { if !keeps, wait == nil { RawDescriptor.close(socket) } }
        // It is what the thread that waits has open only if it still does.
        guard SystemCallListener.isWaiting(tree.listener, notification.id) else { return .result(-Int(EINTR)) }
        var kind = SocketKind(domain: 0, type: 0, protocolNumber: 0)
        let error = SocketKind.read(socket, into: &kind)
        guard error == 0 else { return .result(Int(error)) }
        let isNonblocking = RawDescriptor.isNonblocking(socket) || request.sends && request.flags & Self.dontWait != 0
        let call = SocketCase(
            request: request, notification: notification, tree: tree, socket: socket, kind: kind,
            isAlone: caller.threads == 1, blocks: !isNonblocking, unanswered: unanswered, wait: wait)
        let answer: Answer
        switch request.operation {
        case .connect: answer = connect(call, &judge, state)
        case .listen: answer = listen(call, &judge, state)
        case .accept: answer = accept(call, &judge, state)
        case .send, .sendMessage, .sendMessages: answer = send(call, &judge, state)
        }
        if case .waitsFor = answer { keeps = true }
        return answer
    }

    /// `MSG_DONTWAIT`.
    static let dontWait: UInt32 = 0x40

    /// Whether the rules let a program have this socket, if they are about such ones.
    func permits(
        _ call: SocketCase, _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>, reports: Bool = true
    ) -> Bool {
        let socket = SocketCall(call.kind)
        return !socket.isRuled || judge.permits(socket, state, reportsAudit: reports)
    }

    // MARK: - Connecting

    private mutating func connect(
        _ call: SocketCase, _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Answer {
        if let wait = call.wait, !call.kind.isUnix { return finishConnection(call, wait) }
        guard permits(call, &judge, state) else { return Self.denied }
        let asksNames = call.kind.isInternet && judge.hasQueryRules(state)
        let asksPeer = call.kind.isUnix && judge.asksPeers(state)
        // To whom does not matter, and what it is connected with cannot change.
        if call.isAlone, !asksNames, !asksPeer { return .proceed(.unsharedDescriptors) }
        let request = call.request
        guard request.addressLength <= MessageHeader.nameLimit else { return .result(-Int(EINVAL)) }
        let address = UnsafeMutableRawBufferPointer(rebasing: messages.name[..<Int(request.addressLength)])
        let read = ThreadMemory.read(call.notification.thread, at: request.address, into: address)
        guard SystemCallListener.isWaiting(call.tree.listener, call.notification.id) else {
            return .result(-Int(EINTR))
        }
        guard read == 0 else { return .result(Int(read)) }
        if call.wait == nil, let known = begin(call, Self.hash(UnsafeRawBufferPointer(address))) { return known }
        if call.kind.isUnix { return connectUnix(call, address, asksPeer: asksPeer, &judge, state) }
        if asksNames, let refused = aimAtResolver(call, address, &judge, state) { return refused }
        let answer = connectTo(call, UnsafeRawBufferPointer(address))
        if case .result(let result) = answer, result < 0, asksNames { resolvers.drop(call.socket) }
        return answer
    }

    /// Looks for a call that can come twice; what is known of it, if it was there before.
    func begin(_ call: SocketCase, _ arguments: UInt64) -> Answer? {
        guard let unanswered = call.unanswered else { return nil }
        switch unanswered.begin(call.notification, arguments) {
        case .new: return nil
        case .underWay: return .waits
        case .done(let answer): return answer
        }
    }

    /// Looks whether a connection goes to a resolver: then, of UDP, the port is taken out of the address, and the whole of it kept. Of
    /// what is asked over a connection not enough can be seen.
    private mutating func aimAtResolver(
        _ call: SocketCase, _ address: UnsafeMutableRawBufferPointer, _ judge: inout CallJudge,
        _ state: UnsafePointer<EnforcementState>
    ) -> Answer? {
        guard SocketAddress.port(of: UnsafeRawBufferPointer(address)) == SocketAddress.resolverPort,
            judge.mayBlockQueries(state)
        else {
            resolvers.drop(call.socket)
            return nil
        }
        // What cannot be seen of it may go on.
        if state.pointee.failures.allows(.queryUnreadable) { return nil }
        guard call.kind.isDatagramTransport else {
            return call.kind.hasConnections
                && !judge.failQuery(through: call.kind, at: UnsafeRawBufferPointer(address), state)
                ? Self.denied : nil
        }
        // First: what is sent meanwhile must find it.
        guard resolvers.hold(call.socket, UnsafeRawBufferPointer(address)) else { return .result(-Int(EINVAL)) }
        SocketAddress.clearPort(of: address)
        return nil
    }

    private mutating func connectTo(_ call: SocketCase, _ address: UnsafeRawBufferPointer) -> Answer {
        let socket = call.socket
        guard call.blocks else { return .result(Int(asCaller(call.tree) { SocketCalls.connect(socket, address) })) }
        let limit = waitLimit
        let result = asCaller(call.tree) { limit.run { SocketCalls.connect(socket, address) } }
        guard result == -EINTR else { return .result(Int(result)) }
        // The kernel goes on with it (connect(2), EINTR).
        var wait = SocketWait(socket: socket, forRoom: true, isConnecting: true)
        wait.deadline = Self.deadline(of: socket, sends: true)
        return .waitsFor(wait)
    }

    /// The connection came about, or did not: the kernel says which when it is asked again.
    private mutating func finishConnection(_ call: SocketCase, _ wait: SocketWait) -> Answer {
        let (socket, limit) = (call.socket, waitLimit)
        let address = SocketAddress.blank(call.kind.domain, in: messages.name)
        let result = asCaller(call.tree) { limit.run { SocketCalls.connect(socket, address) } }
        if result == -EINTR || result == -EALREADY { return .waitsFor(wait) }
        return .result(result == -EISCONN ? 0 : Int(result))
    }

    /// CLOCK_MONOTONIC at which a socket waits no more.
    static func deadline(of socket: Int32, sends: Bool) -> UInt64 {
        let time = SocketCalls.timeout(of: socket, sends: sends)
        return time == 0 ? 0 : KernelClock.monotonic &+ time
    }

    /// By a child that is nobody else than the caller: the other end asks the kernel who connected it.
    private mutating func connectUnix(
        _ call: SocketCase, _ address: UnsafeMutableRawBufferPointer, asksPeer: Bool, _ judge: inout CallJudge,
        _ state: UnsafePointer<EnforcementState>
    ) -> Answer {
        var address = address
        let given = address
        let found = resolveName(&address, call)
        guard found == 0 else { return connected(call, found) }
        guard !asksPeer || permitsPeer(given, &judge, state) else { return Self.denied }
        return connected(call, standIn(call, UnsafeRawBufferPointer(address)))
    }

    /// Whether the socket that was found, or the one of a name without a place in a filesystem, may be connected to.
    private func permitsPeer(
        _ given: UnsafeMutableRawBufferPointer, _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Bool {
        if walk.object >= 0 { return judge.permits(object: walk.object, .write, state) }
        return SocketAddress.abstractName(of: given).map { judge.permits(abstractName: $0, state) } ?? true
    }

    /// Has an address of AF_UNIX that is a path name what the path leads to for the caller: 0 or a negated errno.
    mutating func resolveName(_ address: inout UnsafeMutableRawBufferPointer, _ call: SocketCase) -> Int32 {
        guard copyName(address) else { return 0 }
        let found = find(
            PathCall.Path(directory: OpenFlags.currentDirectory, address: 0), path, .object(follow: true),
            call.notification.thread, call.tree, new: false)
        if found == 0 { address = SocketAddress.name(ofObject: walk.object, in: messages.name) }
        return found
    }

    private func connected(_ call: SocketCase, _ result: Int32) -> Answer {
        guard result == -EAGAIN, call.blocks else { return .result(Int(result)) }
        // The other end's queue is full; there is nothing that would tell when it no longer is.
        var wait = call.wait ?? SocketWait(socket: call.socket, forRoom: true, isSilent: true)
        if call.wait == nil { wait.deadline = Self.deadline(of: call.socket, sends: true) }
        return .waitsFor(wait)
    }

    private mutating func standIn(_ call: SocketCase, _ address: UnsafeRawBufferPointer) -> Int32 {
        let capabilities = call.tree.honoursCapabilities ? caller.effective : []
        return StandIn.connect(
            as: caller, capabilities: identity.shared(capabilities), changesIDs: identity.canChange, call.socket,
            address)
    }

    // MARK: - Listening

    private mutating func listen(
        _ call: SocketCase, _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Answer {
        guard permits(call, &judge, state, reports: false) else { return Self.denied }
        if call.isAlone { return .proceed(.unsharedDescriptors) }
        let (socket, backlog) = (call.socket, call.request.backlog)
        guard call.kind.isUnix else {
            return .result(Int(asCaller(call.tree) { SocketCalls.listen(socket, backlog: backlog) }))
        }
        let capabilities = call.tree.honoursCapabilities ? caller.effective : []
        return .result(
            Int(
                StandIn.listen(
                    as: caller, capabilities: identity.shared(capabilities), changesIDs: identity.canChange, socket,
                    backlog: backlog)))
    }

    private mutating func accept(
        _ call: SocketCase, _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Answer {
        guard permits(call, &judge, state) else { return Self.denied }
        if call.isAlone { return .proceed(.unsharedDescriptors) }
        // SOCK_NONBLOCK and SOCK_CLOEXEC.
        let flags = Int32(bitPattern: call.request.flags)
        if flags & ~(0o4000 | 0o2000000) != 0 { return .result(-Int(EINVAL)) }
        if call.wait == nil, let known = begin(call, 0) { return known }
        var wait = call.wait ?? SocketWait(socket: call.socket, forRoom: false)
        if call.wait == nil { wait.deadline = Self.deadline(of: call.socket, sends: false) }
        if call.blocks, !SocketCalls.isReadable(call.socket) { return .waitsFor(wait) }
        let (socket, limit, address) = (call.socket, waitLimit, messages.name)
        var length: UInt32 = 0
        let accepted = asCaller(call.tree) {
            limit.run { SocketCalls.accept(socket, flags: flags & 0o4000, address: address, length: &length) }
        }
        // Another process was faster.
        if call.blocks, accepted == -EINTR || accepted == -EAGAIN { return .waitsFor(wait) }
        guard accepted >= 0 else { return .result(Int(accepted)) }
        let error = tellAddress(call, UnsafeRawBufferPointer(address), length)
        guard error == 0 else {
            RawDescriptor.close(accepted)
            return .result(Int(error))
        }
        return .descriptor(accepted, closeOnExec: flags & 0o2000000 != 0)
    }

    /// Writes the address of who was accepted to where the caller wants it, as far as there is room (accept(2)).
    private func tellAddress(_ call: SocketCase, _ address: UnsafeRawBufferPointer, _ length: UInt32) -> Int32 {
        guard call.request.address != 0 else { return 0 }
        let memory = ThreadMemory.open(call.notification.thread)
        guard memory >= 0 else { return -EFAULT }
        defer { RawDescriptor.close(memory) }
        guard SystemCallListener.isWaiting(call.tree.listener, call.notification.id) else { return -EINTR }
        var room: Int32 = 0
        let read = withUnsafeMutableBytes(of: &room) {
            ThreadMemory.read(call.notification.thread, at: call.request.lengthAddress, into: $0)
        }
        guard read == 0 else { return -EFAULT }
        guard room >= 0 else { return -EINVAL }
        let shown = UnsafeRawBufferPointer(rebasing: address[..<min(Int(room), Int(length), address.count)])
        let result = ThreadMemory.write(memory, at: call.request.address, shown)
        return result != 0
            ? result
            : withUnsafeBytes(of: length) { ThreadMemory.write(memory, at: call.request.lengthAddress, $0) }
    }
}

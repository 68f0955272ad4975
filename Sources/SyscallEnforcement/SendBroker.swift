import FileEnforcement
import Glibc
import LinuxKernel
import PolicyEngine

/// sendto(2), sendmsg(2), sendmmsg(2), with a copy of address, data and what goes with them. What resolvers are asked is looked at before it is
/// sent (docs/adr/0016).
extension CallBroker {
    /// MSG_* that are looked at.
    private static let (more, noSignal, zeroCopy): (UInt32, UInt32, UInt32) = (0x8000, 0x4000, 0x400_0000)

    /// How far one message came.
    private enum Sent {
        /// So many bytes.
        case bytes(Int)
        /// A negated errno.
        case failed(Int)
        /// The rules forbid it.
        case denied
        /// There is no room; so many bytes were sent.
        case waits(Int)
        /// The connection that it makes (MSG_FASTOPEN) is not there yet, and nothing was sent.
        case connects
    }

    mutating func send(
        _ call: SocketCase, _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Answer {
        let request = call.request
        let asksNames = judge.hasQueryRules(state)
        let opensConnection = request.flags & SocketRequest.fastOpen != 0 && call.kind.hasConnections
        if request.namesNobody {
            guard asksNames, reachesResolver(call) else { return .proceed(.noResolverConnected) }
        } else if call.isAlone {
            // An address in memory counts where a datagram goes by it to a resolver, and where a connection is made by it.
            let readsAddress = asksNames && call.kind.isInternet && (call.kind.isDatagramTransport || opensConnection)
            let asksResolver = asksNames && call.kind.isInternet && reachesResolver(call)
            if !readsAddress, !asksResolver,
                judge.allows(SocketCall(call.kind), state) || isConnected(call, opensConnection)
            {
                return .proceed(.unsharedDescriptors)
            }
        }
        defer { messages.ancillary.close() }
        return request.operation == .sendMessages
            ? sendSeveral(call, asksNames, &judge, state) : sendSingle(call, asksNames, &judge, state)
    }

    /// What is sent through it goes to whom it is connected to, whatever address is given (send(2)): such sends are as write(2), and not asked
    /// about.
    private func isConnected(_ call: SocketCase, _ opensConnection: Bool) -> Bool {
        call.kind.hasConnections && !opensConnection
    }

    /// Whether what is sent without an address is for a resolver.
    private func reachesResolver(_ call: SocketCase) -> Bool {
        guard call.kind.isInternet else { return false }
        return call.kind.isDatagramTransport && resolvers.address(of: call.socket, into: messages.name) > 0
            || SocketCalls.peerPort(of: call.socket) == Int32(SocketAddress.resolverPort)
    }

    // MARK: - One and several

    private mutating func sendSingle(
        _ call: SocketCase, _ asksNames: Bool, _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Answer {
        var header = MessageHeader()
        if call.request.operation == .send {
            (header.name, header.nameLength) = (call.request.address, call.request.addressLength)
            if header.nameLength > MessageHeader.nameLimit { return .result(-Int(EINVAL)) }
        } else {
            let error = header.read(call.notification.thread, at: call.request.buffer, isWide: call.request.isWide)
            if error != 0 { return .result(Int(error)) }
        }
        let isFirst = call.wait == nil
        switch send(header, call, asksNames, from: call.wait?.doneOfMessage ?? 0, mayBegin: isFirst, &judge, state) {
        case .bytes(let count): return .result(count)
        case .failed(let error):
            let signals = error == -Int(EPIPE) && call.kind.isStream && call.request.flags & Self.noSignal == 0
            return signals ? .brokenPipe : .result(error)
        case .denied: return Self.denied
        case .waits(let done): return waits(call, 0, done)
        case .connects: return waits(call, 0, 0, isConnecting: true)
        }
    }

    private mutating func sendSeveral(
        _ call: SocketCase, _ asksNames: Bool, _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Answer {
        let stride = MessageHeader.stride(isWide: call.request.isWide)
        var done = call.wait?.done ?? 0
        let memory = ThreadMemory.open(call.notification.thread)
        guard memory >= 0 else { return .result(-Int(EFAULT)) }
        defer { RawDescriptor.close(memory) }
        guard SystemCallListener.isWaiting(call.tree.listener, call.notification.id) else {
            return .result(-Int(EINTR))
        }
        while done < Int(call.request.count) {
            let address = call.request.buffer &+ UInt64(done) &* stride
            var header = MessageHeader()
            let error = header.read(call.notification.thread, at: address, isWide: call.request.isWide)
            if error != 0 { return .result(done > 0 ? done : Int(error)) }
            let isFirst = call.wait == nil && done == 0
            let before = call.wait?.done == done ? call.wait?.doneOfMessage ?? 0 : 0
            let sent = send(header, call, asksNames, from: before, mayBegin: isFirst, &judge, state)
            messages.ancillary.close()
            switch sent {
            case .bytes(let count):
                let told = withUnsafeBytes(of: UInt32(truncatingIfNeeded: count)) {
                    ThreadMemory.write(
                        memory, at: address &+ MessageHeader.sentOffset(isWide: call.request.isWide), $0)
                }
                if told != 0 { return .result(done > 0 ? done : Int(told)) }
                done += 1
            case .failed(let error):
                let signals = error == -Int(EPIPE) && call.kind.isStream && call.request.flags & Self.noSignal == 0
                return done > 0 ? .result(done) : signals ? .brokenPipe : .result(error)
            case .denied: return done > 0 ? .result(done) : Self.denied
            case .waits(let doneOfMessage): return waits(call, done, doneOfMessage)
            case .connects: return waits(call, done, 0, isConnecting: true)
            }
        }
        return .result(done)
    }

    /// Has a call wait that came so far; one that may not gives what it has done.
    private func waits(_ call: SocketCase, _ done: Int, _ doneOfMessage: Int, isConnecting: Bool = false) -> Answer {
        guard call.blocks else {
            let sent = call.request.operation == .sendMessages ? done : doneOfMessage
            return .result(sent > 0 ? sent : -Int(isConnecting ? EINPROGRESS : EAGAIN))
        }
        var wait = call.wait ?? SocketWait(socket: call.socket, forRoom: true)
        if call.wait == nil { wait.deadline = Self.deadline(of: call.socket, sends: true) }
        wait.isConnecting = wait.isConnecting || isConnecting
        (wait.done, wait.doneOfMessage) = (done, doneOfMessage)
        return .waitsFor(wait)
    }

    // MARK: - A message

    /// - Parameters:
    ///   - from: bytes of it that were sent before.
    ///   - mayBegin: the call has not sent anything yet, and may be one that comes again.
    private mutating func send(
        _ header: MessageHeader, _ call: SocketCase, _ asksNames: Bool, from start: Int, mayBegin: Bool,
        _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Sent {
        let thread = call.notification.thread
        var name = UnsafeMutableRawBufferPointer(rebasing: messages.name[..<Int(header.nameLength)])
        var error = ThreadMemory.read(thread, at: header.name, into: name)
        if error == 0 {
            if call.request.operation == .send {
                messages.setPart(call.request.buffer, call.request.count)
            } else {
                error = messages.readParts(header, thread, isWide: call.request.isWide)
            }
        }
        guard error == 0 else { return .failed(Int(error)) }
        let opensConnection = call.request.flags & SocketRequest.fastOpen != 0
        let isAddressed = !name.isEmpty && (!call.kind.hasConnections || opensConnection)
        if isAddressed, !permits(call, &judge, state, reports: opensConnection) { return .denied }
        if isAddressed, call.kind.isUnix {
            error = resolveName(&name, call)
            guard error == 0 else { return .failed(Int(error)) }
        }
        var reachesResolver = false
        if asksNames, call.kind.isInternet {
            if isAddressed {
                reachesResolver =
                    SocketAddress.destinationPort(of: UnsafeRawBufferPointer(name)) == SocketAddress.resolverPort
                if reachesResolver, opensConnection, call.kind.hasConnections, judge.mayBlockQueries(state),
                    !judge.failQuery(through: call.kind, at: UnsafeRawBufferPointer(name), state)
                {
                    return .denied
                }
            } else {
                let held = call.kind.isDatagramTransport ? resolvers.address(of: call.socket, into: messages.name) : 0
                name = UnsafeMutableRawBufferPointer(rebasing: messages.name[..<held])
                reachesResolver =
                    held > 0 || SocketCalls.peerPort(of: call.socket) == Int32(SocketAddress.resolverPort)
            }
        }
        if start == 0 {
            error = messages.ancillary.take(
                header,
                of: AncillaryData.Sender(
                    isNamed: identity.canChange, honoursCapabilities: call.tree.honoursCapabilities, thread: thread),
                caller, to: call.kind, isWide: call.request.isWide)
            guard error == 0 else { return .failed(Int(error)) }
        }
        return call.kind.isStream
            ? sendStream(call, name, reachesResolver, from: start, mayBegin: mayBegin, &judge, state)
            : sendWhole(call, name, reachesResolver, mayBegin: mayBegin, &judge, state)
    }

    /// A message that goes out in one piece or not at all.
    private mutating func sendWhole(
        _ call: SocketCase, _ name: UnsafeMutableRawBufferPointer, _ reachesResolver: Bool, mayBegin: Bool,
        _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Sent {
        guard messages.total <= UInt64(MessageBuffers.messageLimit) else { return .failed(-Int(EMSGSIZE)) }
        let size = Int(messages.total)
        let data = UnsafeMutableRawBufferPointer(rebasing: messages.data[..<size])
        let copied = messages.copy(call.notification.thread, from: 0, into: data)
        guard copied == size else { return .failed(copied < 0 ? copied : -Int(EFAULT)) }
        // All that was read is the waiting thread's only if it still waits.
        guard SystemCallListener.isWaiting(call.tree.listener, call.notification.id) else {
            return .failed(-Int(EINTR))
        }
        let bytes = UnsafeRawBufferPointer(data)
        if reachesResolver, !permitsQueries(call, bytes, name, &judge, state) { return .denied }
        if mayBegin, let known = begin(call, Self.hash(bytes)) { return Self.sent(known) }
        let result = transmit(call, bytes, UnsafeRawBufferPointer(name), messages.ancillary.bytes)
        if result == -Int(EAGAIN) { return .waits(0) }
        return result < 0 ? .failed(result) : .bytes(result)
    }

    /// What is left of a message on a stream, as much as there is room for.
    private mutating func sendStream(
        _ call: SocketCase, _ name: UnsafeMutableRawBufferPointer, _ reachesResolver: Bool, from start: Int,
        mayBegin: Bool,
        _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Sent {
        var done = start
        // The pieces are read anew each time that the call comes, and may have become fewer.
        let total = messages.streamTotal
        guard done == 0 || done < total else { return .bytes(done) }
        repeat {
            let size = min(MessageBuffers.chunk, total - done)
            let data = UnsafeMutableRawBufferPointer(rebasing: messages.data[..<size])
            let copied = messages.copy(call.notification.thread, from: UInt64(done), into: data)
            if copied < 0 { return done > 0 ? .bytes(done) : .failed(copied) }
            guard SystemCallListener.isWaiting(call.tree.listener, call.notification.id) else {
                return .failed(-Int(EINTR))
            }
            let bytes = UnsafeRawBufferPointer(rebasing: messages.data[..<copied])
            if reachesResolver, !permitsQueries(call, bytes, name, &judge, state) {
                return done > 0 ? .bytes(done) : .denied
            }
            if mayBegin, done == 0, let known = begin(call, Self.hash(bytes)) { return Self.sent(known) }
            let isFirst = done == 0
            let result = transmit(
                call, bytes, UnsafeRawBufferPointer(name),
                isFirst ? messages.ancillary.bytes : UnsafeRawBufferPointer(start: nil, count: 0))
            if result == -Int(EAGAIN) { return .waits(done) }
            if result == -Int(EINPROGRESS), isFirst { return .connects }
            if result < 0 { return done > 0 ? .bytes(done) : .failed(result) }
            done += result
            // The end of what the caller has.
            if copied < size { return .bytes(done) }
            if result < size { return .waits(done) }
        } while done < total
        return .bytes(done)
    }

    private static func sent(_ answer: Answer) -> Sent {
        switch answer {
        case .result(let result): result < 0 ? .failed(result) : .bytes(result)
        case .waits: .waits(0)
        default: .failed(-Int(EINTR))
        }
    }

    private mutating func transmit(
        _ call: SocketCase, _ data: UnsafeRawBufferPointer, _ name: UnsafeRawBufferPointer,
        _ control: UnsafeRawBufferPointer
    ) -> Int {
        // Nobody may be kept waiting here, and it is not we whom a closed end concerns.
        var flags = Int32(bitPattern: call.request.flags | Self.dontWait | Self.noSignal)
        var name = name
        if call.wait?.isConnecting == true {
            // By now there is a connection, or there will never be.
            flags &= ~Int32(bitPattern: SocketRequest.fastOpen)
            name = UnsafeRawBufferPointer(start: nil, count: 0)
        }
        let socket = call.socket
        // Who gives another one's credentials has to be able to; in this call they permit nothing else.
        let extra: CapabilitySet = call.kind.isUnix && identity.canChange ? [.sysAdmin, .setuid, .setgid] : []
        guard
            identity.become(caller, honoursCapabilities: call.tree.honoursCapabilities, adding: extra) == 0
        else { return -Int(EACCES) }
        defer { identity.regain() }
        guard call.request.flags & Self.zeroCopy == 0 else {
            let (to, how) = (name, flags)
            return FreshPages.with(copyOf: data) {
                SocketCalls.send(socket, $0, to: to, with: control, flags: how)
            }
        }
        return SocketCalls.send(socket, data, to: name, with: control, flags: flags)
    }

    // MARK: - Queries

    /// Whether a program may ask a resolver what is in a message, or in each of those that it will be cut into.
    private mutating func permitsQueries(
        _ call: SocketCase, _ data: UnsafeRawBufferPointer, _ name: UnsafeMutableRawBufferPointer,
        _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Bool {
        let known = name.isEmpty ? SocketCalls.peer(of: call.socket, into: messages.peer) : 0
        let address = UnsafeRawBufferPointer(rebasing: name.isEmpty ? messages.peer[..<max(known, 0)] : name[...])
        if call.kind.hasConnections { return permitsStream(call, data, address, &judge, state) }
        // Put together from several sends it is another message than the one that is seen.
        if call.request.flags & Self.more != 0 || SocketCalls.value(of: .cork, call.socket) ?? 0 != 0 {
            return permitsUnseen(call, address, &judge, state)
        }
        let segment = Int(messages.ancillary.segment ?? 0)
        let size = segment > 0 ? segment : Int(SocketCalls.value(of: .segment, call.socket) ?? 0)
        var at = 0
        repeat {
            let end = size > 0 ? min(at + size, data.count) : data.count
            guard permitsMessage(call, UnsafeRawBufferPointer(rebasing: data[at..<end]), address, &judge, state)
            else { return false }
            at = end
        } while at < data.count
        return true
    }

    /// Whole messages only: what is cut off goes on with the next send.
    private func permitsStream(
        _ call: SocketCase, _ data: UnsafeRawBufferPointer, _ address: UnsafeRawBufferPointer,
        _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Bool {
        var at = 0
        while at < data.count {
            let start = at
            guard let message = DNSQuestions.message(in: data, at: &at),
                message.count == Int(data[start]) << 8 | Int(data[start + 1])
            else { return permitsUnseen(call, address, &judge, state) }
            guard permitsMessage(call, message, address, &judge, state) else { return false }
        }
        return true
    }

    private func permitsMessage(
        _ call: SocketCase, _ message: UnsafeRawBufferPointer, _ address: UnsafeRawBufferPointer,
        _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Bool {
        guard var questions = DNSQuestions(message) else {
            // An answer asks for nothing.
            return message.count >= Self.messageHeader || permitsUnseen(call, address, &judge, state)
        }
        while true {
            switch questions.next(into: messages.question) {
            case .name(let length, let type):
                let name = UnsafeRawBufferPointer(rebasing: messages.question[..<length])
                guard judge.permits(query: name, type: type, through: call.kind, at: address, state) else {
                    return false
                }
            case .end: return true
            case .malformed: return permitsUnseen(call, address, &judge, state)
            }
        }
    }

    /// Bytes before the questions (RFC 1035, 4.1.1).
    private static let messageHeader = 12

    private func permitsUnseen(
        _ call: SocketCase, _ address: UnsafeRawBufferPointer, _ judge: inout CallJudge,
        _ state: UnsafePointer<EnforcementState>
    ) -> Bool {
        !judge.mayBlockQueries(state) || judge.failQuery(through: call.kind, at: address, state)
    }
}

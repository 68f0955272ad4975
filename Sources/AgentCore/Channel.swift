import LinuxKernel

/// Sends and receives `ChannelMessage`s over a SOCK_SEQPACKET socket known by its number.
package enum Channel {
    /// What a look at the socket found.
    package enum Found {
        case none
        /// The other end is gone.
        case closed
        /// A message, and the descriptor that came with it, now the caller's.
        case message(ChannelMessage, Int32?)
    }

    /// Two connected sockets. Whoever does not read for some seconds is not waited for: sending fails then.
    package static func pair() throws(KernelError) -> (Int32, Int32) {
        let pair = try UnixSocket.pair()
        try UnixSocket.limitSending(of: pair.first.raw, seconds: 5)
        try UnixSocket.limitSending(of: pair.second.raw, seconds: 5)
        return (try pair.first.duplicate().release(), try pair.second.duplicate().release())
    }

    /// Sends a message; false when the other end is gone or its queue is full.
    @discardableResult
    package static func send(_ socket: Int32, _ message: ChannelMessage, descriptor: Int32? = nil) -> Bool {
        (try? UnixSocket.send(socket, bytes: message.bytes, descriptors: descriptor.map { [$0] } ?? [])) != nil
    }

    /// The next message, without waiting. A datagram that is no message is left out.
    package static func next(_ socket: Int32) -> Found {
        while true {
            let found = withUnsafeTemporaryAllocation(byteCount: ChannelMessage.limit, alignment: 8) {
                buffer -> (Found, isJunk: Bool) in
                do throws(KernelError) {
                    var received = try UnixSocket.receive(socket, into: buffer, nonblocking: true)
                    // A datagram of ours is never empty: end of file.
                    if received.length == 0 { return (.closed, false) }
                    let descriptor = received.takeDescriptor(at: 0)?.release()
                    guard let message = ChannelMessage(bytes: [UInt8](buffer[0..<received.length])) else {
                        if let descriptor { RawDescriptor.close(descriptor) }
                        return (.none, true)
                    }
                    return (.message(message, descriptor), false)
                } catch {
                    // EAGAIN, EINTR: nothing now. Anything else: the socket is of no use any more.
                    return (error.errno == 11 || error.errno == 4 ? .none : .closed, false)
                }
            }
            if !found.isJunk { return found.0 }
        }
    }

    /// The next message, without waiting; `nil` for none or a closed socket.
    package static func receive(_ socket: Int32) -> (ChannelMessage, Int32?)? {
        if case .message(let message, let descriptor) = next(socket) { return (message, descriptor) }
        return nil
    }

    /// Waits for a message of one kind; others are dropped.
    package static func receive(_ socket: Int32, kind: ChannelMessage.Kind, timeoutMilliseconds: Int32)
        -> ChannelMessage?
    {
        let end = KernelClock.monotonic &+ UInt64(max(0, timeoutMilliseconds)) &* 1_000_000
        while true {
            switch next(socket) {
            case .closed: return nil
            case .message(let message, let descriptor):
                if let descriptor { RawDescriptor.close(descriptor) }
                if message.kind == kind { return message }
            case .none:
                let now = KernelClock.monotonic
                guard now < end else { return nil }
                Readiness.wait(socket, timeoutMilliseconds: Int32((end - now) / 1_000_000) + 1)
            }
        }
    }
}

import LinuxKernel

/// What a call waits for that is being performed on a socket, and how far it has come; or an open of a pipe for somebody to write into it.
struct SocketWait: Equatable {
    /// A copy of the caller's descriptor, or the pipe; closed by whoever ends the wait.
    var socket: Int32
    /// It waits for room, or for a connection that it makes; otherwise for something to accept.
    var forRoom: Bool
    /// Nothing tells when it has come: it is looked at every few milliseconds.
    var isSilent = false
    /// CLOCK_MONOTONIC at which the socket's own timeout is over; 0 for none.
    var deadline: UInt64 = 0
    /// A connection is being made.
    var isConnecting = false
    /// Bytes of a stream, or messages, that were sent.
    var done = 0
    /// Bytes of the message at hand that were sent.
    var doneOfMessage = 0
}

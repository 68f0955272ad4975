import LinuxKernel

/// A call on a socket that exists, with its arguments in one form whatever its number: registers only, nothing has been read from memory.
struct SocketRequest {
    /// What it does. bind(2) is a `PathCall`: it can make a name.
    enum Operation {
        case connect, listen, accept
        /// sendto(2), sendmsg(2), sendmmsg(2).
        case send, sendMessage, sendMessages
    }

    let operation: Operation
    /// Its number in the caller.
    let socket: Int32
    /// Of an address in the caller's memory; for `accept` where one is to be written, 0 for nowhere.
    var address: UInt64 = 0
    var addressLength: UInt32 = 0
    /// For `accept`, where the length of the address stands.
    var lengthAddress: UInt64 = 0
    /// Data (`send`), a message header, or several of them.
    var buffer: UInt64 = 0
    /// Bytes of data, or how many message headers.
    var count: UInt64 = 0
    /// MSG_* or SOCK_*.
    var flags: UInt32 = 0
    var backlog: Int32 = 0
    /// Addresses and lengths in the caller's memory have 8 bytes.
    let isWide: Bool

    /// `MSG_FASTOPEN`: the message makes the connection as well.
    static let fastOpen: UInt32 = 0x2000_0000

    /// Takes a call apart; `nil` for one that is none of these.
    init?(_ kind: CallKind, _ call: SystemCallNotification) {
        func word(_ index: Int) -> UInt32 { UInt32(truncatingIfNeeded: call.argument(index)) }
        let operation: Operation
        switch kind {
        case .connect: operation = .connect
        case .listen: operation = .listen
        case .accept, .accept4: operation = .accept
        case .sendto: operation = .send
        case .sendmsg: operation = .sendMessage
        case .sendmmsg: operation = .sendMessages
        default: return nil
        }
        self.operation = operation
        isWide = call.architecture == Architecture.native.rawValue
        socket = Int32(bitPattern: word(0))
        switch operation {
        case .connect: (address, addressLength) = (call.argument(1), word(2))
        case .listen: backlog = Int32(bitPattern: word(1))
        case .accept:
            (address, lengthAddress) = (call.argument(1), call.argument(2))
            flags = kind == .accept4 ? word(3) : 0
        case .send:
            (buffer, count, flags) = (call.argument(1), call.argument(2), word(3))
            (address, addressLength) = (call.argument(4), call.argument(4) == 0 ? 0 : word(5))
        case .sendMessage: (buffer, count, flags) = (call.argument(1), 1, word(2))
        // UIO_MAXIOV, as the kernel has it.
        case .sendMessages: (buffer, count, flags) = (call.argument(1), UInt64(min(word(2), 1024)), word(3))
        }
    }

    /// It sends something.
    var sends: Bool {
        switch operation {
        case .send, .sendMessage, .sendMessages: true
        case .connect, .listen, .accept: false
        }
    }

    /// Its registers say that it sends to whom the socket is connected to, and to nobody else.
    var namesNobody: Bool { operation == .send && address == 0 }
}

import LinuxKernel
import Synchronization

/// Sockets that were connected to a resolver while some query could be blocked. Not all that can be written through a descriptor is seen
/// (write(2) is not notified), so the kernel does not connect these to the resolver's port: to the resolver's address, with the port 0. Of such
/// a socket everything that the resolver sends arrives, its errors too, and what is written to it reaches no resolver. Its queries go out
/// with the address that is kept here, once they were looked at (docs/adr/0016).
final class ResolverSockets: Sendable {
    /// `sizeof(struct sockaddr_in6)`.
    static let addressLimit = 28

    private struct Entry {
        /// 0 for none.
        var cookie: UInt64 = 0
        var length = 0
        var address = InlineArray<28, UInt8>(repeating: 0)
    }

    /// By the cookie's lowest bits: a socket that is found no more asks again on a new one, as resolvers do.
    private static let capacity = 4096
    private let entries: Mutex<[Entry]>

    init() { entries = Mutex(Array(repeating: Entry(), count: Self.capacity)) }

    /// Remembers to whom a socket is connected; false for an address that is none of the internet's.
    func hold(_ socket: Int32, _ address: UnsafeRawBufferPointer) -> Bool {
        let cookie = SocketCalls.cookie(of: socket)
        guard cookie != 0, address.count <= Self.addressLimit else { return false }
        var entry = Entry()
        (entry.cookie, entry.length) = (cookie, address.count)
        for index in 0..<address.count { entry.address[index] = address[index] }
        entries.withLock { $0[Self.place(cookie)] = entry }
        return true
    }

    /// Forgets a socket, which is connected to somebody else by now, or to nobody.
    func drop(_ socket: Int32) {
        let cookie = SocketCalls.cookie(of: socket)
        entries.withLock { entries in
            if entries[Self.place(cookie)].cookie == cookie { entries[Self.place(cookie)].cookie = 0 }
        }
    }

    /// Copies the address that a socket is held for: its length, 0 for a socket that is not held.
    func address(of socket: Int32, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        let cookie = SocketCalls.cookie(of: socket)
        guard cookie != 0 else { return 0 }
        return entries.withLock { entries in
            let entry = entries[Self.place(cookie)]
            guard entry.cookie == cookie, entry.length <= buffer.count else { return 0 }
            for index in 0..<entry.length { buffer[index] = entry.address[index] }
            return entry.length
        }
    }

    private static func place(_ cookie: UInt64) -> Int { Int(cookie % UInt64(capacity)) }
}

import Foundation

/// A socket of the internet, of IPv4 or IPv6, closed at its end.
final class TestSocket {
    let descriptor: Int32
    let version: Int

    /// - Parameters:
    ///   - type: `SOCK_STREAM`, `SOCK_DGRAM` or `SOCK_RAW`.
    ///   - number: IPPROTO_*; 0 for the type's own.
    init(_ version: Int, _ type: __socket_type, _ number: Int32 = 0) throws {
        self.version = version
        descriptor = socket(version == 4 ? AF_INET : AF_INET6, Int32(type.rawValue), number)
        if descriptor < 0 { throw ScratchError(text: "socket: errno \(errno)") }
        var one: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, 4)
    }

    private init(accepted: Int32, _ version: Int) {
        descriptor = accepted
        self.version = version
    }

    deinit { close(descriptor) }

    private static func withAddress<T>(
        _ host: String, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> T
    ) -> T {
        func bound<A>(_ address: A) -> T {
            withUnsafePointer(to: address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<A>.size)) }
            }
        }
        if host.contains(":") {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            inet_pton(AF_INET6, host, &address.sin6_addr)
            return bound(address)
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        inet_pton(AF_INET, host, &address.sin_addr)
        return bound(address)
    }

    func bind(_ host: String, _ port: UInt16) throws {
        if Self.withAddress(host, port, { Foundation.bind(descriptor, $0, $1) }) != 0 {
            throw ScratchError(text: "bind \(host) \(port): errno \(errno)")
        }
    }

    /// 0, or the errno that the sender saw.
    func send(_ bytes: [UInt8] = [0x78], to host: String, _ port: UInt16) -> Int32 {
        Self.withAddress(host, port) { sendto(descriptor, bytes, bytes.count, 0, $0, $1) } < 0 ? errno : 0
    }

    /// Whether something is there to be read, or somebody to be accepted, within so many milliseconds.
    func isReadable(_ milliseconds: Int32 = 150) -> Bool {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&waiting, 1, milliseconds) == 1
    }

    /// Takes a datagram; `nil` when none comes.
    func receive(_ milliseconds: Int32 = 150) -> [UInt8]? {
        guard isReadable(milliseconds) else { return nil }
        var buffer = [UInt8](repeating: 0, count: 65536)
        let length = recv(descriptor, &buffer, buffer.count, 0)
        return length < 0 ? nil : Array(buffer.prefix(length))
    }

    /// Whether a connection comes about in so many milliseconds.
    func connects(to host: String, _ port: UInt16, _ milliseconds: Int32 = 250) -> Bool {
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        if Self.withAddress(host, port, { connect(descriptor, $0, $1) }) == 0 { return true }
        var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        guard errno == EINPROGRESS, poll(&waiting, 1, milliseconds) == 1 else { return false }
        var (error, size) = (Int32(0), socklen_t(4))
        return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0
    }

    func accept() -> TestSocket? {
        guard isReadable() else { return nil }
        let accepted = Foundation.accept(descriptor, nil, nil)
        return accepted < 0 ? nil : TestSocket(accepted: accepted, version)
    }

    /// Writes to a connection; whether all was taken.
    func write(_ bytes: [UInt8]) -> Bool {
        Foundation.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
    }

    func listen() { _ = Foundation.listen(descriptor, 8) }
}

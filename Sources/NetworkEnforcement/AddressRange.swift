import Glibc

/// An address family of the internet.
public enum AddressFamily: UInt8, Sendable, CaseIterable {
    case ipv4 = 4
    case ipv6 = 6

    /// Bytes of an address.
    public var length: Int { self == .ipv4 ? 4 : 16 }
    var bits: Int { length * 8 }
}

/// A prefix such as `10.0.0.0/8`.
public struct AddressPrefix: Sendable, Hashable {
    /// Its family.
    public let family: AddressFamily
    /// The first address, in network byte order; bits behind the prefix are 0.
    public let address: [UInt8]
    /// Leading bits that count.
    public let bits: Int

    /// An address, or an address and a length; `nil` when it is not one.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard let name = parts.first, let parsed = Self.address(name) else { return nil }
        var bits = parsed.family.bits
        if parts.count > 1 {
            guard let written = Int(parts[1]), (0...bits).contains(written) else { return nil }
            bits = written
        }
        self.init(family: parsed.family, address: parsed.bytes, bits: bits)
    }

    init(family: AddressFamily, address: [UInt8], bits: Int) {
        self.family = family
        self.bits = bits
        self.address = address.enumerated().map { index, byte in
            let left = min(8, max(0, bits - index * 8))
            return byte & UInt8(truncatingIfNeeded: 0xFF00 >> left)
        }
    }

    /// Its first and last address as numbers.
    var range: ClosedRange<UInt128> {
        let first = address.reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
        let rest = family.bits - bits
        let size: UInt128 = rest == 128 ? .max : (UInt128(1) << UInt128(rest)) - 1
        return first...(first | size)
    }

    private static func address(_ text: String) -> (family: AddressFamily, bytes: [UInt8])? {
        for family in AddressFamily.allCases {
            var bytes = [UInt8](repeating: 0, count: family.length)
            if inet_pton(family == .ipv4 ? AF_INET : AF_INET6, text, &bytes) == 1 { return (family, bytes) }
        }
        return nil
    }
}

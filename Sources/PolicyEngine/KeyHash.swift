/// The keyed hash of snapshot keys: a polynomial modulo 2^61 - 1 in a secret point.
///
/// Whoever does not know the point cannot choose names that collide (two texts of n blocks collide for at most n of the
/// 2^61 points). Texts are hashed component by component, seven bytes a step, so that the hash of every ancestor directory
/// falls out of one pass over a path.
struct KeyHash: Sendable {
    /// The point; at least 1, less than `prime`.
    let multiplier: UInt64
    /// Odd; spreads the sum over the bits of a slot number.
    let finisher: UInt64

    static var prime: UInt64 { 0x1FFF_FFFF_FFFF_FFFF }

    init(multiplier: UInt64, finisher: UInt64) {
        self.multiplier = multiplier
        self.finisher = finisher
    }

    init(seed: UInt64) {
        multiplier = Self.scramble(seed) % (Self.prime - 1) + 1
        finisher = Self.scramble(seed &+ 1) | 1
    }

    /// splitmix64's output function.
    private static func scramble(_ seed: UInt64) -> UInt64 {
        var x = seed &+ 0x9E37_79B9_7F4A_7C15
        x = (x ^ (x >> 30)) &* 0xBF58_476D_1CE4_E5B9
        x = (x ^ (x >> 27)) &* 0x94D0_49BB_1331_11EB
        return x ^ (x >> 31)
    }

    /// One step. `hash` is less than the prime and `block` less than 2^60, so that nothing overflows.
    @inline(__always)
    func mix(_ hash: UInt64, _ block: UInt64) -> UInt64 {
        let (high, low) = (hash &+ block).multipliedFullWidth(by: multiplier)
        let once = (low & Self.prime) &+ (high &<< 3 | low &>> 61)
        let twice = (once & Self.prime) &+ once &>> 61
        return twice >= Self.prime ? twice &- Self.prime : twice
    }

    @inline(__always)
    func start(_ space: UInt32) -> UInt64 { mix(0, UInt64(space) &+ 1) }

    @inline(__always)
    func finish(_ hash: UInt64) -> UInt64 {
        let product = hash &* finisher
        return product ^ product &>> 32
    }

    /// Hashes a path and calls `visit` at each of its first `limit` slashes with what lies before it and its hash.
    /// Returns the hash of the whole path.
    @inline(__always)
    func walk(
        _ path: UnsafeRawBufferPointer, _ space: UInt32, limit: Int, _ visit: (_ end: Int, _ hash: UInt64) -> Void
    ) -> UInt64 {
        var hash = start(space)
        var block: UInt64 = 0
        var filled: UInt64 = 0
        var left = limit
        var index = 0
        let count = path.count
        while index < count {
            let byte = path.load(fromByteOffset: index, as: UInt8.self)
            if byte == UInt8(ascii: "/") {
                hash = mix(hash, block | filled &<< 56)
                block = 0
                filled = 0
                if left > 0 {
                    left &-= 1
                    visit(index, finish(hash))
                }
            } else {
                block = block &<< 8 | UInt64(byte)
                filled &+= 1
                if filled == 7 {
                    hash = mix(hash, block | 8 &<< 56)
                    block = 0
                    filled = 0
                }
            }
            index &+= 1
        }
        return finish(mix(hash, block | filled &<< 56))
    }

    /// Hashes a domain from its last label on and calls `visit` with the start of each parent domain and its hash, the
    /// shortest parent first. Returns the hash of the whole name.
    @inline(__always)
    func walkDomain(
        _ name: UnsafeRawBufferPointer, _ visit: (_ start: Int, _ hash: UInt64) -> Void
    ) -> UInt64 {
        var hash = start(KeySpace.domain)
        var block: UInt64 = 0
        var filled: UInt64 = 0
        var index = name.count
        while index > 0 {
            index &-= 1
            let byte = name.load(fromByteOffset: index, as: UInt8.self)
            if byte == UInt8(ascii: ".") {
                hash = mix(hash, block | filled &<< 56)
                block = 0
                filled = 0
                visit(index &+ 1, finish(hash))
            } else {
                block = block &<< 8 | UInt64(byte)
                filled &+= 1
                if filled == 7 {
                    hash = mix(hash, block | 8 &<< 56)
                    block = 0
                    filled = 0
                }
            }
        }
        return finish(mix(hash, block | filled &<< 56))
    }

    /// The hash of a key of a space.
    func hash(_ text: UnsafeRawBufferPointer, _ space: UInt32) -> UInt64 {
        space == KeySpace.domain ? walkDomain(text) { _, _ in } : walk(text, space, limit: 0) { _, _ in }
    }

    /// The hash of a pair of numbers.
    @inline(__always)
    func hash(pair first: UInt32, _ second: UInt32) -> UInt64 {
        finish(mix(mix(start(KeySpace.pair), UInt64(first)), UInt64(second)))
    }

    /// A checksum of a snapshot's bytes. Every step is a bijection of the sum, so that a change within eight bytes is always
    /// seen.
    static func checksum(_ bytes: UnsafeRawBufferPointer, from sum: UInt64 = 0x243F_6A88_85A3_08D3) -> UInt64 {
        var sum = sum
        var offset = 0
        while offset &+ 8 <= bytes.count {
            sum =
                (sum ^ UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
                &* 0x9FB2_1C65_1E98_DF25
            sum ^= sum &>> 32
            offset &+= 8
        }
        while offset < bytes.count {
            sum = (sum ^ UInt64(bytes[offset])) &* 0x9FB2_1C65_1E98_DF25
            sum ^= sum &>> 32
            offset &+= 1
        }
        return sum
    }
}

/// Which keys a text is compared with: equal texts of different spaces are different keys.
enum KeySpace {
    static var process: UInt32 { 0 }
    static var file: UInt32 { 1 }
    static var execname: UInt32 { 2 }
    static var domain: UInt32 { 3 }
    static var source: UInt32 { 4 }
    static var systemCall: UInt32 { 5 }
    /// Nodes found by number, not by text.
    static var direct: UInt32 { 6 }
    static var pair: UInt32 { 7 }
    /// System calls that rules block.
    static var blockedSystemCall: UInt32 { 8 }
    /// Plus the node of the system call: the paths of its rules.
    static var systemCallPaths: UInt32 { 16 }
}

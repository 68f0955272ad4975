import Synchronization

/// A hash table from two words to one: one thread changes it, others look things up meanwhile, without locks.
///
/// A place that was filled is never filled again with something else, so a reader sees an entry or not, never half of one. Places are won back
/// by making the table anew, once half of them are used, which costs a constant amount for each change.
package struct ConcurrentTable: @unchecked Sendable {
    // Unchecked: the memory is only touched through atomics; what readers may still look at is freed behind a grace period. What a grace
    // period depends on is sequentially consistent: either a reader sees the change, or whoever waits sees the reader (`StateCell`).

    /// Words before the places: their number less one, how many were filled, how many of these are still there.
    private static let header = 3
    /// Words of a place: both keys, and the value, which is `empty` before and `removed` after.
    private static let place = 3
    private static let (empty, removed): (UInt64, UInt64) = (0, 1)

    private let current: UnsafeMutablePointer<Atomic<UInt>>

    package init() {
        current = .allocate(capacity: 1)
        current.initialize(to: Atomic(UInt(bitPattern: Self.makeBlock(64))))
    }

    private typealias Block = UnsafeMutablePointer<Atomic<UInt64>>

    private static func makeBlock(_ places: Int) -> Block {
        let words = header + place * places
        let block = Block.allocate(capacity: words)
        for index in 0..<words { (block + index).initialize(to: Atomic(0)) }
        block[0].store(UInt64(places - 1), ordering: .relaxed)
        return block
    }

    @inline(__always)
    private var block: Block {
        // Never zero: it was made with a block, and always gets another one.
        Block(bitPattern: current.pointee.load(ordering: .sequentiallyConsistent)).unsafelyUnwrapped
    }

    /// How many entries there are. For the thread that changes it.
    package var count: Int { Int(block[2].load(ordering: .relaxed)) }

    /// There are none.
    @inline(__always) package var isEmpty: Bool { block[2].load(ordering: .relaxed) == 0 }

    /// The value for two keys.
    @inline(__always)
    package func find(_ first: UInt64, _ second: UInt64) -> UInt64? {
        let block = block
        let mask = Int(block[0].load(ordering: .relaxed))
        var index = Self.hash(first, second) & mask
        while true {
            let words = block + Self.header + Self.place * index
            let value = words[2].load(ordering: .sequentiallyConsistent)
            if value == Self.empty { return nil }
            if value != Self.removed, words[0].load(ordering: .relaxed) == first,
                words[1].load(ordering: .relaxed) == second
            {
                return value
            }
            index = (index &+ 1) & mask
        }
    }

    /// Adds an entry, or gives it another value.
    ///
    /// - Parameters:
    ///   - value: 2 or more.
    ///   - grace: returns when no reader is where it was when it was called.
    package func insert(_ first: UInt64, _ second: UInt64, value: UInt64, grace: () -> Void) {
        precondition(value > Self.removed)
        if let words = words(first, second, in: block) {
            return words[2].store(value, ordering: .sequentiallyConsistent)
        }
        if block[1].load(ordering: .relaxed) * 2 > block[0].load(ordering: .relaxed) { renew(grace) }
        Self.fill(block, first, second, value)
    }

    /// Takes an entry out. Readers may have found it just before.
    package func remove(_ first: UInt64, _ second: UInt64) {
        guard let words = words(first, second, in: block) else { return }
        words[2].store(Self.removed, ordering: .sequentiallyConsistent)
        block[2].wrappingSubtract(1, ordering: .relaxed)
    }

    private func words(_ first: UInt64, _ second: UInt64, in block: Block) -> Block? {
        let mask = Int(block[0].load(ordering: .relaxed))
        var index = Self.hash(first, second) & mask
        while true {
            let words = block + Self.header + Self.place * index
            let value = words[2].load(ordering: .relaxed)
            if value == Self.empty { return nil }
            if value != Self.removed, words[0].load(ordering: .relaxed) == first,
                words[1].load(ordering: .relaxed) == second
            {
                return words
            }
            index = (index &+ 1) & mask
        }
    }

    private static func fill(_ block: Block, _ first: UInt64, _ second: UInt64, _ value: UInt64) {
        let mask = Int(block[0].load(ordering: .relaxed))
        var index = hash(first, second) & mask
        while (block + header + place * index)[2].load(ordering: .relaxed) != empty { index = (index &+ 1) & mask }
        let words = block + header + place * index
        words[0].store(first, ordering: .relaxed)
        words[1].store(second, ordering: .relaxed)
        words[2].store(value, ordering: .releasing)
        block[1].wrappingAdd(1, ordering: .relaxed)
        block[2].wrappingAdd(1, ordering: .relaxed)
    }

    /// Copies what is there to a table that is a quarter full.
    private func renew(_ grace: () -> Void) {
        let old = block
        let places = Int(old[0].load(ordering: .relaxed)) + 1
        var size = 64
        while size < 4 * (count + 1) { size *= 2 }
        let new = Self.makeBlock(size)
        for index in 0..<places {
            let words = old + Self.header + Self.place * index
            let value = words[2].load(ordering: .relaxed)
            if value == Self.empty || value == Self.removed { continue }
            Self.fill(new, words[0].load(ordering: .relaxed), words[1].load(ordering: .relaxed), value)
        }
        current.pointee.store(UInt(bitPattern: new), ordering: .sequentiallyConsistent)
        grace()
        old.deallocate()
    }

    /// Calls `body` with every entry. For the thread that changes it.
    package func forEach(_ body: (UInt64, UInt64, UInt64) -> Void) {
        let block = block
        for index in 0...Int(block[0].load(ordering: .relaxed)) {
            let words = block + Self.header + Self.place * index
            let value = words[2].load(ordering: .relaxed)
            if value == Self.empty || value == Self.removed { continue }
            body(words[0].load(ordering: .relaxed), words[1].load(ordering: .relaxed), value)
        }
    }

    @inline(__always)
    private static func hash(_ first: UInt64, _ second: UInt64) -> Int { FlatTable.hash(first, second) }
}

/// An open-addressing hash table from two 64-bit words to one, in memory of its own without ARC.
///
/// Built by one thread, then read by the permission thread through a copied value; freed explicitly.
struct FlatTable {
    private struct Cell {
        var first: UInt64
        var second: UInt64
        /// 0 = empty, so stored values are shifted by one.
        var value: UInt64
    }
    private var cells: UnsafeMutablePointer<Cell>
    private var mask: Int
    private(set) var count = 0

    /// Room for `capacity` entries at a load factor of at most one half.
    init(capacity: Int) {
        var size = 16
        while size < capacity * 2 { size *= 2 }
        cells = .allocate(capacity: size)
        cells.initialize(repeating: Cell(first: 0, second: 0, value: 0), count: size)
        mask = size - 1
    }

    func deallocate() { cells.deallocate() }

    var isFull: Bool { count * 2 > mask }

    /// Inserts or replaces; returns false when the table is full.
    mutating func insert(_ first: UInt64, _ second: UInt64, value: UInt64) -> Bool {
        var slot = Self.hash(first, second) & mask
        while cells[slot].value != 0 {
            if cells[slot].first == first && cells[slot].second == second {
                cells[slot].value = value &+ 1
                return true
            }
            slot = (slot &+ 1) & mask
        }
        if isFull { return false }
        cells[slot] = Cell(first: first, second: second, value: value &+ 1)
        count += 1
        return true
    }

    @inline(__always)
    func find(_ first: UInt64, _ second: UInt64) -> UInt64? {
        var slot = Self.hash(first, second) & mask
        while cells[slot].value != 0 {
            if cells[slot].first == first && cells[slot].second == second { return cells[slot].value &- 1 }
            slot = (slot &+ 1) & mask
        }
        return nil
    }

    /// Calls `body` with every entry.
    func forEach(_ body: (UInt64, UInt64, UInt64) -> Void) {
        for slot in 0...mask where cells[slot].value != 0 {
            body(cells[slot].first, cells[slot].second, cells[slot].value &- 1)
        }
    }

    @inline(__always)
    static func hash(_ first: UInt64, _ second: UInt64) -> Int {
        // Keys are kernel-made numbers; a multiplicative mix spreads consecutive inode numbers.
        var x = first &* 0x9E37_79B9_7F4A_7C15 ^ second
        x ^= x >> 32
        x &*= 0xD6E8_FEB8_6659_FD93
        x ^= x >> 29
        return Int(truncatingIfNeeded: x & 0x7FFF_FFFF_FFFF_FFFF)
    }
}

/// A dictionary that forgets the entry not used for longest when it is full. All operations are O(1).
struct BoundedLRU<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct Node: Sendable {
        var key: Key
        var value: Value
        var older: Int
        var newer: Int
    }

    private static var none: Int { -1 }
    private var slots: [Key: Int] = [:]
    private var nodes: [Node] = []
    private var oldest = Self.none
    private var newest = Self.none
    private let capacity: Int

    /// Creates an empty dictionary for at most `capacity` (at least one) entries.
    init(capacity: Int) {
        self.capacity = max(1, capacity)
    }

    var count: Int { nodes.count }

    /// The value of `key`, which becomes the most recently used.
    mutating func value(for key: Key) -> Value? {
        guard let slot = slots[key] else { return nil }
        touch(slot)
        return nodes[slot].value
    }

    /// Stores `value` as the most recently used and returns the entry that had to go.
    @discardableResult
    mutating func store(_ value: Value, for key: Key) -> (key: Key, value: Value)? {
        if let slot = slots[key] {
            nodes[slot].value = value
            touch(slot)
            return nil
        }
        guard nodes.count == capacity else {
            slots[key] = nodes.count
            nodes.append(Node(key: key, value: value, older: Self.none, newer: Self.none))
            linkAsNewest(nodes.count - 1)
            return nil
        }
        let slot = oldest
        let evicted = (key: nodes[slot].key, value: nodes[slot].value)
        unlink(slot)
        slots[evicted.key] = nil
        slots[key] = slot
        nodes[slot] = Node(key: key, value: value, older: Self.none, newer: Self.none)
        linkAsNewest(slot)
        return evicted
    }

    /// Changes every value in place; the order of use stays.
    mutating func updateAll(_ body: (Key, inout Value) -> Void) {
        for slot in nodes.indices { body(nodes[slot].key, &nodes[slot].value) }
    }

    private mutating func touch(_ slot: Int) {
        guard slot != newest else { return }
        unlink(slot)
        linkAsNewest(slot)
    }

    private mutating func unlink(_ slot: Int) {
        let (older, newer) = (nodes[slot].older, nodes[slot].newer)
        if older == Self.none { oldest = newer } else { nodes[older].newer = newer }
        if newer == Self.none { newest = older } else { nodes[newer].older = older }
    }

    private mutating func linkAsNewest(_ slot: Int) {
        nodes[slot].older = newest
        nodes[slot].newer = Self.none
        if newest == Self.none { oldest = slot } else { nodes[newest].newer = slot }
        newest = slot
    }
}

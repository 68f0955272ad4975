/// Ranges of numbers that stand for addresses or ports.
enum RangeList {
    /// The same numbers in as few ranges as possible, in order.
    static func union(_ ranges: [ClosedRange<UInt128>]) -> [ClosedRange<UInt128>] {
        var result: [ClosedRange<UInt128>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = result.last, range.lowerBound <= last.upperBound || range.lowerBound == last.upperBound + 1 {
                result[result.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                result.append(range)
            }
        }
        return result
    }

    /// A range and the first of several lists that has it.
    struct Owned: Equatable {
        var range: ClosedRange<UInt128>
        var owner: Int
    }

    /// For each number the first list that has it; in order, ranges of the same owner side by side are one.
    static func firstOwners(_ lists: [[ClosedRange<UInt128>]]) -> [Owned] {
        // From edge to edge: between two of them the lists that have the numbers are the same.
        struct Edge {
            var position: UInt128
            var owner: Int
            var begins: Bool
        }
        var edges: [Edge] = []
        for (owner, ranges) in lists.enumerated() {
            for range in union(ranges) {
                edges.append(Edge(position: range.lowerBound, owner: owner, begins: true))
                if range.upperBound < .max {
                    edges.append(Edge(position: range.upperBound + 1, owner: owner, begins: false))
                }
            }
        }
        edges.sort { $0.position < $1.position }
        var open = OwnerHeap(count: lists.count)
        var result: [Owned] = []
        var index = 0
        while index < edges.count {
            let position = edges[index].position
            while index < edges.count, edges[index].position == position {
                if edges[index].begins { open.insert(edges[index].owner) } else { open.remove(edges[index].owner) }
                index += 1
            }
            guard let owner = open.first else { continue }
            let end = index < edges.count ? edges[index].position - 1 : .max
            if let last = result.last, last.owner == owner, last.range.upperBound + 1 == position {
                result[result.count - 1].range = last.range.lowerBound...end
            } else {
                result.append(Owned(range: position...end, owner: owner))
            }
        }
        return result
    }
}

/// The lists that are open at a position; finds the first of them. What was closed is thrown out when it comes to the top.
private struct OwnerHeap {
    private var heap: [Int] = []
    private var isOpen: [Bool]

    init(count: Int) { isOpen = [Bool](repeating: false, count: count) }

    mutating func insert(_ owner: Int) {
        isOpen[owner] = true
        heap.append(owner)
        var child = heap.count - 1
        while child > 0, heap[(child - 1) / 2] > heap[child] {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func remove(_ owner: Int) { isOpen[owner] = false }

    var first: Int? {
        mutating get {
            while let top = heap.first, !isOpen[top] { dropTop() }
            return heap.first
        }
    }

    private mutating func dropTop() {
        heap[0] = heap[heap.count - 1]
        heap.removeLast()
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < heap.count else { return }
            if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
            guard heap[child] < heap[parent] else { return }
            heap.swapAt(child, parent)
            parent = child
        }
    }
}

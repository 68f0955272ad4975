/// Writes a trie as the chunk that `PatternChunk` reads.
struct PatternEncoder {
    private let trie: PatternTrie
    /// States in depth-first order, so that a first child follows its parent.
    private var order: [Int] = []
    private var numbers: [Int]
    private var classes = [UInt8](repeating: 0, count: 256)
    private var classCount = 1
    private let words: Int

    init(_ trie: PatternTrie) {
        self.trie = trie
        words = max((trie.states.count + 63) / 64, 1)
        numbers = [Int](repeating: 0, count: trie.states.count)
        number()
        classify()
    }

    private mutating func number() {
        var open = Array(trie.roots.reversed())
        while let state = open.popLast() {
            numbers[state] = order.count
            order.append(state)
            open += trie.states[state].children.reversed()
        }
    }

    /// Bytes that no state tells apart are one class.
    private mutating func classify() {
        for set in Set(trie.states.map(\.set)) {
            var renamed: [Int: UInt8] = [:]
            var next = [UInt8](repeating: 0, count: 256)
            for byte in 0..<256 {
                let key = Int(classes[byte]) * 2 + (set.contains(UInt8(byte)) ? 1 : 0)
                if let known = renamed[key] {
                    next[byte] = known
                } else {
                    next[byte] = UInt8(renamed.count)
                    renamed[key] = UInt8(renamed.count)
                }
            }
            classes = next
            classCount = renamed.count
            if classCount == 256 { break }
        }
    }

    /// A multiple of eight bytes.
    func encode() -> [UInt8] {
        var representatives = [UInt8](repeating: 0, count: classCount)
        for byte in (0..<256).reversed() { representatives[Int(classes[byte])] = UInt8(byte) }
        var starts = vector()
        var accepting = vector()
        var branching = vector()
        var loops = vector()
        var slashLoops = vector()
        var rows = [UInt64](repeating: 0, count: words * classCount)
        var branchOffsets: [UInt32] = [0]
        var acceptOffsets: [UInt32] = [0]
        var acceptRecords: [UInt32] = []
        var children: [UInt16] = []
        for root in trie.roots { set(&starts, numbers[root]) }
        for (number, index) in order.enumerated() {
            let state = trie.states[index]
            if state.loop != .none { set(&loops, number) }
            if state.loop == .globstar { set(&slashLoops, number) }
            if !state.records.isEmpty {
                set(&accepting, number)
                acceptRecords += state.records
                acceptOffsets.append(UInt32(acceptRecords.count))
            }
            if let first = state.children.first {
                for (byteClass, byte) in representatives.enumerated() where trie.states[first].set.contains(byte) {
                    rows[byteClass * words + (number + 1) / 64] |= 1 << UInt64((number + 1) & 63)
                }
            }
            guard state.children.count > 1 else { continue }
            set(&branching, number)
            for byte in representatives {
                for child in state.children.dropFirst() where trie.states[child].set.contains(byte) {
                    children.append(UInt16(numbers[child]))
                }
                branchOffsets.append(UInt32(children.count))
            }
        }
        let branchCount = (branchOffsets.count - 1) / classCount
        var output = FlatOutput()
        for count in [
            words, classCount, branchCount, children.count, acceptOffsets.count - 1, acceptRecords.count, 0, 0,
        ] { output.append(UInt32(count)) }
        output.append(bytes: classes)
        for part in [starts, accepting, branching, loops, slashLoops, rows] { output.append(part) }
        output.append(Self.ranks(branching))
        output.append(Self.ranks(accepting))
        output.append(branchOffsets)
        output.append(acceptOffsets)
        output.append(acceptRecords)
        output.append(children)
        output.align()
        return output.bytes
    }

    private func vector() -> [UInt64] { [UInt64](repeating: 0, count: words) }

    private func set(_ vector: inout [UInt64], _ number: Int) { vector[number / 64] |= 1 << UInt64(number & 63) }

    private static func ranks(_ vector: [UInt64]) -> [UInt32] {
        var sum: UInt32 = 0
        return vector.map { word in
            defer { sum += UInt32(word.nonzeroBitCount) }
            return sum
        }
    }
}

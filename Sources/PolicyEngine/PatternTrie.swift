/// The patterns of one chunk under construction: patterns that begin alike share their states.
struct PatternTrie {
    /// What follows a state's byte: nothing, `*`, or `**`.
    enum Loop: UInt8, Hashable {
        case none, star, globstar
    }

    /// A state: a byte of the set has been read, and the loop takes any number of further ones. The first states of all
    /// patterns read nothing; their set is empty.
    struct State {
        var set: ByteSet
        var loop: Loop
        var children: [Int] = []
        var records: [UInt32] = []
    }

    /// A pattern as states, the one before its first byte first.
    struct Path {
        fileprivate(set) var states: [(set: ByteSet, loop: Loop)]

        init(_ tokens: ArraySlice<GlobToken>) {
            states = [(ByteSet(), .none)]
            for token in tokens {
                switch token {
                case .byte(let byte): states.append((ByteSet(byte), .none))
                case .set(let set): states.append((set, .none))
                case .star: if states[states.count - 1].loop == .none { states[states.count - 1].loop = .star }
                case .globstar: states[states.count - 1].loop = .globstar
                }
            }
        }
    }

    private struct Edge: Hashable {
        var parent: Int
        var set: ByteSet
        var loop: Loop
    }

    private(set) var states: [State] = []
    private(set) var roots: [Int] = []
    private var edges: [Edge: Int] = [:]

    /// Whether the trie stays within a chunk with this pattern too.
    func hasRoom(for path: Path) -> Bool { states.count + path.states.count <= PatternChunk.maxStates }

    mutating func insert(_ path: Path, record: UInt32) {
        var parent = -1
        for (set, loop) in path.states {
            let edge = Edge(parent: parent, set: set, loop: loop)
            if let known = edges[edge] {
                parent = known
                continue
            }
            let state = states.count
            states.append(State(set: set, loop: loop))
            edges[edge] = state
            if parent < 0 { roots.append(state) } else { states[parent].children.append(state) }
            parent = state
        }
        // Only alternatives of one pattern, and they follow each other, come twice to the same state.
        if states[parent].records.last != record { states[parent].records.append(record) }
    }
}

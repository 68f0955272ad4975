import PolicyEngine

/// Operations over buffers that live as long as the program.
struct Operations {
    private let all: UnsafeMutableBufferPointer<ObjectOperation>

    var count: Int { all.count }

    init(_ category: PolicyEngine.Category, paths: [String], known: FactSet = Self.allFacts) {
        all = .allocate(capacity: paths.count)
        let sourceBytes = Self.permanent("/usr/bin/agent-19")
        for (index, path) in paths.enumerated() {
            var operation = ObjectOperation(category: category, path: Self.permanent(path))
            operation.known = known
            operation.source = sourceBytes
            all.initializeElement(at: index, to: operation)
        }
    }

    static let allFacts: FactSet = [.source, .write, .ownership, .terminal, .arguments, .process]

    static func permanent(_ text: String) -> UnsafeRawBufferPointer {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: text.utf8.count, alignment: 1)
        bytes.copyBytes(from: Array(text.utf8))
        return UnsafeRawBufferPointer(bytes)
    }

    /// Asks for `repetitions` verdicts in turn; the sum keeps the optimizer from dropping them.
    @inline(never)
    func run(_ snapshot: Snapshot, repetitions: Int) -> UInt64 {
        var sum: UInt64 = 0
        var index = 0
        for _ in 0..<repetitions {
            let verdict = snapshot.verdict(for: all[index])
            sum &+= UInt64(verdict.rule.rawValue) &+ UInt64(verdict.effect.rawValue)
            index += 1
            if index == all.count { index = 0 }
        }
        return sum
    }

    /// Nanoseconds of each single verdict, clock included.
    func times(_ snapshot: Snapshot, repetitions: Int) -> [UInt64] {
        var result: [UInt64] = []
        result.reserveCapacity(repetitions)
        var sum: UInt64 = 0
        for repetition in 0..<repetitions {
            let start = monotonicNanoseconds()
            let verdict = snapshot.verdict(for: all[repetition % all.count])
            result.append(monotonicNanoseconds() - start)
            sum &+= UInt64(verdict.rule.rawValue)
        }
        blackHole = blackHole &+ sum
        return result.sorted()
    }
}

/// Takes results that nobody reads.
nonisolated(unsafe) var blackHole: UInt64 = 0

import LinuxKernel

/// Which number means which call, on each architecture that a filter lets through. Made once; read without allocation.
struct CallTable {
    /// Architectures of a table: the native one and its 32-bit companion.
    private static let architectures: [Architecture] = Architecture.native == .x86_64 ? [.x86_64, .i386] : [.native]
    /// Above every number in use.
    private static let numbers = 1024

    private let kinds: UnsafeMutablePointer<UInt8>
    /// By kind: the native architecture's number, or -1.
    private let native: UnsafeMutablePointer<Int32>

    /// Asks libseccomp's tables.
    init() {
        kinds = .allocate(capacity: Self.architectures.count * Self.numbers)
        kinds.initialize(repeating: CallKind.unknown.rawValue, count: Self.architectures.count * Self.numbers)
        native = .allocate(capacity: 256)
        native.initialize(repeating: -1, count: 256)
        let byName = Dictionary(uniqueKeysWithValues: CallKind.allCases.map { ($0.name, $0) })
        for (index, architecture) in Self.architectures.enumerated() {
            for number in 0..<Self.numbers {
                guard
                    let name = FilterProgram.name(of: Int32(number), architecture: architecture.rawValue),
                    let kind = byName[name], kind != .unknown
                else { continue }
                kinds[index * Self.numbers + number] = kind.rawValue
                if index == 0 { native[Int(kind.rawValue)] = Int32(number) }
            }
        }
    }

    func deallocate() {
        kinds.deallocate()
        native.deallocate()
    }

    /// The number of a call on this machine's own architecture; -1 for none.
    func nativeNumber(_ kind: CallKind) -> Int32 { native[Int(kind.rawValue)] }

    /// What a call is.
    func kind(_ architecture: UInt32, _ number: Int32) -> CallKind {
        guard number >= 0, Int(number) < Self.numbers else { return .unknown }
        for (index, known) in Self.architectures.enumerated() where known.rawValue == architecture {
            return CallKind(rawValue: kinds[index * Self.numbers + Int(number)]) ?? .unknown
        }
        return .unknown
    }
}

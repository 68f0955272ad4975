import LinuxKernel

/// Which number means which call, on each architecture that a filter lets through. Made once; read without allocation.
struct CallTable: @unchecked Sendable {
    // Unchecked: the memory is not written after it was made, and lives as long as the process.
    private let kinds: UnsafeMutablePointer<UInt8>
    /// By native number, its name's place in `text`; by architecture and number, the native number of the same name, or -1.
    private let native: UnsafeMutablePointer<Int32>
    private let names: UnsafeMutablePointer<UnsafeRawBufferPointer>

    /// What fails in every tree: errno.
    let forbidden: RegisterTable
    /// What needs a capability: its number.
    let capabilities: RegisterTable
    /// What needs one for others' ids: the capability's number.
    let ownIDs: RegisterTable

    /// Asks libseccomp's tables.
    init() {
        let (count, limit) = (CallNames.architectures.count, CallNames.limit)
        kinds = .allocate(capacity: count * limit)
        kinds.initialize(repeating: CallKind.unknown.rawValue, count: count * limit)
        native = .allocate(capacity: count * limit)
        native.initialize(repeating: -1, count: count * limit)
        names = .allocate(capacity: count * limit)
        names.initialize(repeating: UnsafeRawBufferPointer(start: nil, count: 0), count: count * limit)
        let byName = Dictionary(uniqueKeysWithValues: CallKind.allCases.map { ($0.name, $0) })
        let natives = Dictionary(
            CallNames.table[0].enumerated().map { ($0.element, Int32($0.offset)) }, uniquingKeysWith: { one, _ in one })
        for (index, table) in CallNames.table.enumerated() {
            for (number, name) in table.enumerated() where !name.isEmpty {
                let place = index * limit + number
                if let kind = byName[name], kind != .unknown { kinds[place] = kind.rawValue }
                native[place] = natives[name] ?? -1
                let text = UnsafeMutableRawBufferPointer.allocate(byteCount: name.utf8.count, alignment: 1)
                text.copyBytes(from: name.utf8)
                names[place] = UnsafeRawBufferPointer(text)
            }
        }
        forbidden = RegisterTable(FilterPlan.forbidden, numbers: CallNames.numbers)
        capabilities = RegisterTable(
            CapabilityCalls.rules.map { ($0.rule, Int32($0.capability)) }, numbers: CallNames.numbers)
        ownIDs = RegisterTable(
            CapabilityCalls.ownIDs.flatMap { entry in
                entry.names.map { (FilterProgram.Rule($0, .notify), Int32(entry.capability)) }
            }, numbers: CallNames.numbers)
    }

    func deallocate() {
        for index in 0..<(CallNames.architectures.count * CallNames.limit) { names[index].deallocate() }
        kinds.deallocate()
        native.deallocate()
        names.deallocate()
        forbidden.deallocate()
        capabilities.deallocate()
        ownIDs.deallocate()
    }

    private func place(_ call: SystemCallNotification) -> Int? {
        guard call.number >= 0, Int(call.number) < CallNames.limit else { return nil }
        if call.architecture == Architecture.native.rawValue { return Int(call.number) }
        #if arch(x86_64)
            if call.architecture == Architecture.i386.rawValue { return CallNames.limit + Int(call.number) }
        #endif
        return nil
    }

    /// The call's number on this machine's own architecture; -1 for none.
    func nativeNumber(_ call: SystemCallNotification) -> Int32 { place(call).map { native[$0] } ?? -1 }

    /// What a call is called; empty when nobody knows.
    func name(_ call: SystemCallNotification) -> UnsafeRawBufferPointer {
        place(call).map { names[$0] } ?? UnsafeRawBufferPointer(start: nil, count: 0)
    }

    /// What a call is.
    func kind(_ call: SystemCallNotification) -> CallKind {
        place(call).flatMap { CallKind(rawValue: kinds[$0]) } ?? .unknown
    }
}

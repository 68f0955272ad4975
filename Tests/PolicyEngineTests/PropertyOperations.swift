import PolicyModel

extension PropertySet {
    /// An operation that has a good chance to concern a rule of the set.
    func operation(_ random: inout PropertyRandom) -> ReferenceOperation {
        let roll = random.below(100)
        let kind: ReferenceOperation.Kind =
            roll < 38
            ? .process
            : roll < 74 ? .file : roll < 82 ? .networkProtocol : roll < 89 ? .dns : roll < 93 ? .capability : .syscall
        var operation = ReferenceOperation(kind: kind)
        operation.source =
            random.chance(88) ? Array(random.pick(PropertyVocabulary.executables).utf8) : Self.oddSource(&random)
        operation.hasTerminal = random.chance(50)
        switch kind {
        case .process, .file:
            operation.path = objectPath(&random)
            operation.isWrite = kind == .file && random.chance(50)
            operation.isOwner = random.chance(50)
            operation.enteredWorkload = random.chance(50)
            operation.pid = random.pick([1, 7, 71, 4_194_304])
            operation.arguments = kind == .process ? Self.arguments(&random) : []
        case .networkProtocol:
            operation.socketType = random.pick([1, 1, 2, 2, 3, 3, 4, 5, 6, 10, 0, 7])
            operation.protocolNumber = random.pick([0, 0, 0, 1, 6, 17, 58, 132, 132, 255, 256, 262, 2])
            operation.isInternet = random.chance(80)
        case .dns:
            operation.name = Self.queryName(&random)
        case .capability:
            operation.capability = random.pick([0, 1, 7, 12, 13, 21, 31, 32, 33, 40, 39])
        case .syscall:
            operation.name = random.pick(PropertyVocabulary.systemCalls + ["ope"])
            operation.syscallPath = random.chance(75) ? objectPath(&random) : nil
        }
        return operation
    }

    /// Another value for one fact, as the lazy caller has not told the engine yet.
    static func scramble(_ operation: inout ReferenceOperation, _ random: inout PropertyRandom) {
        operation.source =
            random.chance(80) ? Array(random.pick(PropertyVocabulary.executables).utf8) : oddSource(&random)
        operation.isWrite = random.chance(50)
        operation.isOwner = random.chance(50)
        operation.hasTerminal = random.chance(50)
        operation.enteredWorkload = random.chance(50)
        operation.pid = random.pick([1, 7, 71, 4_194_304])
        operation.arguments = arguments(&random)
    }

    private static func oddSource(_ random: inout PropertyRandom) -> [UInt8] {
        random.pick([[], Array("/bin/".utf8), Array("/bin/aa".utf8), [0x2f, 0xff, 0xfe]])
    }

    private func objectPath(_ random: inout PropertyRandom) -> [UInt8] {
        if random.chance(8) { return Array(random.pick(PropertyVocabulary.special).utf8) }
        if texts.isEmpty || random.chance(20) { return Array(vocabulary.path(&random).utf8) }
        if random.chance(2) { return [UInt8(ascii: "/")] }
        var path = Array(random.pick(texts).utf8)
        let isDirectory = path.last == UInt8(ascii: "/")
        if isDirectory {
            if path.count > 1, random.chance(20) {
                path.removeLast()
            } else {
                path += random.pick(vocabulary.components).utf8
            }
        }
        while random.chance(isDirectory ? 35 : 12) { path += Array("/".utf8) + random.pick(vocabulary.components).utf8 }
        switch random.below(40) {
        case 0: path.append(0xff)
        case 1: path.append(UInt8(ascii: "a"))
        case 2 where path.count > 2 && path[path.count - 2] != UInt8(ascii: "/"): path.removeLast()
        default: break
        }
        return path.count <= 4095 ? path : Array(vocabulary.path(&random).utf8)
    }

    private static func arguments(_ random: inout PropertyRandom) -> [[UInt8]] {
        let count = random.pick([0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 4, 19, 20, 21, 22])
        let few = random.chance(60)
        return (0..<count).map { _ in
            random.chance(few ? 97 : 80)
                ? Array(PropertyVocabulary.arguments[random.below(few ? 2 : 5)].utf8) : Array("a\u{301}".utf8)
        }
    }

    private static func queryName(_ random: inout PropertyRandom) -> String {
        var name = random.pick(PropertyVocabulary.domains)
        while random.chance(35) { name = random.pick(PropertyVocabulary.domainPrefixes) + "." + name }
        if random.chance(20) { name = name.uppercased() }
        if random.chance(20) { name += "." }
        return name
    }
}

/// A ruleset as it travels from front to worker: flat, length and kind before each part. The worker believes nothing of it.
public enum RulesetCoding {
    /// Why bytes are not a ruleset.
    public enum Failure: Error, Equatable, CustomStringConvertible {
        /// They end too early, or too late.
        case length
        /// A value that means nothing.
        case value(String)

        /// One line.
        public var description: String {
            switch self {
            case .length: "the network rules are cut off"
            case .value(let name): "the network rules have a wrong \(name)"
            }
        }
    }

    /// Things of one kind, at most.
    static let limit: UInt32 = 1 << 20

    /// The bytes.
    public static func encode(_ ruleset: Ruleset) -> [UInt8] {
        var writer = RulesetWriter()
        writer.number(ruleset.logGroup)
        writer.list(ruleset.quotas) { writer, quota in
            writer.text(quota.name)
            writer.number(quota.bytes)
            writer.number(quota.seconds)
        }
        writer.list(ruleset.sets) { writer, set in
            writer.text(set.name)
            writer.number(set.key.rawValue)
            writer.number(UInt8(set.isMap ? 1 : 0))
            writer.list(set.ranges) { writer, element in
                writer.number(element.first)
                writer.number(element.last)
                if set.isMap { writer.verdict(element.verdict ?? .drop) }
            }
            writer.list(set.interfaces) { $0.text($1) }
        }
        writer.list(ruleset.chains) { writer, chain in
            writer.text(chain.name)
            writer.number(chain.hook.map { $0.rawValue + 1 } ?? 0)
            writer.number(UInt32(bitPattern: chain.priority))
            writer.list(chain.rules) { $0.rule($1) }
        }
        return writer.bytes
    }

    /// Reads them back. Empty bytes are no rules at all.
    public static func decode(_ bytes: UnsafeRawBufferPointer) throws(Failure) -> Ruleset {
        if bytes.isEmpty { return Ruleset(logGroup: 0) }
        var reader = RulesetReader(bytes: bytes)
        var ruleset = Ruleset(logGroup: try reader.number())
        ruleset.quotas = try reader.list { reader throws(Failure) in
            Ruleset.Quota(
                name: try reader.name(), bytes: try reader.number(), seconds: try reader.number())
        }
        ruleset.sets = try reader.list { reader throws(Failure) in try reader.set() }
        ruleset.chains = try reader.list { reader throws(Failure) in
            let name = try reader.name()
            let hook: UInt8 = try reader.number()
            guard hook <= UInt8(Ruleset.Hook.allCases.count) else { throw .value("hook") }
            let priority: UInt32 = try reader.number()
            return Ruleset.Chain(
                name: name, hook: hook == 0 ? nil : Ruleset.Hook(rawValue: hook - 1),
                priority: Int32(bitPattern: priority),
                rules: try reader.list { reader throws(Failure) in try reader.rule() })
        }
        guard reader.isAtEnd else { throw .length }
        return ruleset
    }
}

private struct RulesetWriter {
    var bytes: [UInt8] = []

    mutating func number<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
    }

    mutating func text(_ text: String) {
        number(UInt32(text.utf8.count))
        bytes += text.utf8
    }

    mutating func list<T>(_ items: [T], _ write: (inout RulesetWriter, T) -> Void) {
        number(UInt32(items.count))
        for item in items { write(&self, item) }
    }

    mutating func verdict(_ verdict: Ruleset.Verdict) {
        switch verdict {
        case .accept: number(UInt8(0))
        case .drop: number(UInt8(1))
        case .goto(let chain):
            number(UInt8(2))
            text(chain)
        case .jump(let chain):
            number(UInt8(3))
            text(chain)
        case .leave: number(UInt8(4))
        }
    }

    mutating func rule(_ rule: Ruleset.Rule) {
        list(rule.matches) { $0.match($1) }
        number(UInt8(rule.counts ? 1 : 0))
        text(rule.log ?? "")
        number(rule.logBytes)
        switch rule.action {
        case .none: number(UInt8(0))
        case .decide(let decided):
            number(UInt8(1))
            verdict(decided)
        case .mapPort(let map):
            number(UInt8(2))
            text(map)
        case .mapAddress(let side, let family, let map):
            number(UInt8(3))
            number(side.rawValue)
            number(family.rawValue)
            text(map)
        }
    }

    private mutating func kind(_ number: UInt8) { self.number(number) }

    mutating func match(_ match: Ruleset.Match) {
        switch match {
        case .interface(let hook, let name):
            kind(0)
            number(hook.rawValue)
            text(name)
        case .interfaces(let hook, let set):
            kind(1)
            number(hook.rawValue)
            text(set)
        case .prefix(let side, let prefix):
            kind(2)
            number(side.rawValue)
            number(prefix.family.rawValue)
            number(UInt8(prefix.bits))
            bytes += prefix.address
        case .addresses(let side, let family, let set):
            kind(3)
            number(side.rawValue)
            number(family.rawValue)
            text(set)
        case .transport(let transport):
            kind(4)
            number(transport)
        case .ports(let first, let last):
            kind(5)
            number(first)
            number(last)
        case .portSet(let set):
            kind(6)
            text(set)
        case .flowState(let mask):
            kind(7)
            number(mask)
        case .icmpv6(let first, let last):
            kind(8)
            number(first)
            number(last)
        case .cgroup(let id, let level):
            kind(9)
            number(id)
            number(level)
        case .netClass(let id):
            kind(10)
            number(id)
        case .users(let first, let last):
            kind(11)
            number(first)
            number(last)
        case .quota(let name):
            kind(12)
            text(name)
        case .rate(let rate, let burst):
            kind(13)
            number(rate)
            number(burst)
        case .payload(let offset, let mask, let value):
            kind(14)
            number(offset)
            number(UInt8(value.count))
            number(UInt8(mask.count))
            bytes += value + mask
        case .payloadByte(let offset, let first, let last):
            kind(15)
            number(offset)
            number(first)
            number(last)
        case .shorter(let length):
            kind(16)
            number(length)
        }
    }
}

private struct RulesetReader {
    typealias Failure = RulesetCoding.Failure
    let bytes: UnsafeRawBufferPointer
    var offset = 0

    init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var isAtEnd: Bool { offset == bytes.count }

    private mutating func take(_ count: Int) throws(Failure) -> UnsafeRawBufferPointer {
        guard count <= bytes.count - offset else { throw .length }
        defer { offset += count }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
    }

    mutating func number<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(Failure) -> T {
        T(littleEndian: try take(MemoryLayout<T>.size).loadUnaligned(as: T.self))
    }

    mutating func text() throws(Failure) -> String {
        let part = try take(Int(try number(UInt32.self)))
        guard let text = String(validating: part, as: UTF8.self), !part.contains(0) else { throw .value("text") }
        return text
    }

    /// Something that the kernel keeps by its name (NFT_NAME_MAXLEN).
    mutating func name() throws(Failure) -> String {
        let name = try text()
        guard (1...255).contains(name.utf8.count) else { throw .value("name") }
        return name
    }

    mutating func list<T>(
        _ read: (inout RulesetReader) throws(Failure) -> T
    ) throws(Failure) -> [T] {
        let count = try number(UInt32.self)
        // Nothing is smaller than a byte.
        guard count <= RulesetCoding.limit, Int(count) <= bytes.count - offset else { throw .value("number of things") }
        var result: [T] = []
        result.reserveCapacity(Int(count))
        for _ in 0..<count { result.append(try read(&self)) }
        return result
    }

    mutating func choice<T: RawRepresentable>(_ name: String) throws(Failure) -> T where T.RawValue == UInt8 {
        guard let value = T(rawValue: try number()) else { throw .value(name) }
        return value
    }

    mutating func verdict() throws(Failure) -> Ruleset.Verdict {
        switch try number(UInt8.self) {
        case 0: .accept
        case 1: .drop
        case 2: .goto(try name())
        case 3: .jump(try name())
        case 4: .leave
        default: throw .value("verdict")
        }
    }

    mutating func set() throws(Failure) -> Ruleset.Set {
        let name = try name()
        let key: Ruleset.Key = try choice("key")
        let isMap = try number(UInt8.self) == 1
        let ranges = try list { reader throws(Failure) in
            let (first, last): (UInt128, UInt128) = (try reader.number(), try reader.number())
            guard first <= last, last <= key.last else { throw .value("range") }
            return Ruleset.Element(first: first, last: last, verdict: isMap ? try reader.verdict() : nil)
        }
        for (left, right) in zip(ranges, ranges.dropFirst()) where left.last >= right.first {
            throw .value("order of ranges")
        }
        let interfaces = try list { reader throws(Failure) in try reader.interface() }
        return Ruleset.Set(name: name, key: key, isMap: isMap, ranges: ranges, interfaces: interfaces)
    }

    /// IFNAMSIZ - 1 bytes at most.
    mutating func interface() throws(Failure) -> String {
        let name = try text()
        guard (1...15).contains(name.utf8.count) else { throw .value("interface") }
        return name
    }

    mutating func rule() throws(Failure) -> Ruleset.Rule {
        var rule = Ruleset.Rule()
        rule.matches = try list { reader throws(Failure) in try reader.match() }
        rule.counts = try number(UInt8.self) == 1
        let log = try text()
        // NF_LOG_PREFIXLEN.
        guard log.utf8.count < 128 else { throw .value("log text") }
        rule.log = log.isEmpty ? nil : log
        rule.logBytes = try number()
        guard rule.logBytes <= Ruleset.loggedQueryBytes else { throw .value("length of logged packets") }
        switch try number(UInt8.self) {
        case 0: rule.action = .none
        case 1: rule.action = .decide(try verdict())
        case 2: rule.action = .mapPort(try name())
        case 3: rule.action = .mapAddress(try choice("side"), try choice("family"), try name())
        default: throw .value("action")
        }
        return rule
    }

    mutating func match() throws(Failure) -> Ruleset.Match {
        switch try number(UInt8.self) {
        case 0: return .interface(try choice("hook"), try interface())
        case 1: return .interfaces(try choice("hook"), set: try name())
        case 2:
            let side: Ruleset.Side = try choice("side")
            let family: AddressFamily = try choice("family")
            let bits = Int(try number(UInt8.self))
            guard bits <= family.length * 8 else { throw .value("prefix") }
            return .prefix(
                side, AddressPrefix(family: family, address: Array(try take(family.length)), bits: bits))
        case 3: return .addresses(try choice("side"), try choice("family"), set: try name())
        case 4: return .transport(try number())
        case 5: return .ports(first: try number(), last: try number())
        case 6: return .portSet(try name())
        case 7: return .flowState(try number())
        case 8: return .icmpv6(first: try number(), last: try number())
        case 9: return .cgroup(id: try number(), level: try number())
        case 10: return .netClass(try number())
        case 11: return .users(first: try number(), last: try number())
        case 12: return .quota(try name())
        case 13: return .rate(perSecond: try number(), burst: try number())
        case 14:
            let offset: UInt16 = try number()
            let count = Int(try number(UInt8.self))
            let maskCount = Int(try number(UInt8.self))
            // A register of nf_tables.
            guard (1...16).contains(count), maskCount == 0 || maskCount == count else { throw .value("payload") }
            let value = Array(try take(count))
            return .payload(offset: offset, mask: Array(try take(maskCount)), value: value)
        case 15: return .payloadByte(offset: try number(), first: try number(), last: try number())
        case 16: return .shorter(try number())
        default: throw .value("condition")
        }
    }
}

import PolicyEngine

/// How front and worker talk about the real names of what rules name. The front has no right to look; the worker answers.
package enum NameResolution {
    /// NUL-terminated strings, one after the other.
    package static func encode(_ strings: [String]) -> [UInt8] { strings.flatMap { Array($0.utf8) + [0] } }

    /// Reads what `encode` or the worker wrote.
    package static func decode(_ bytes: [UInt8]) -> [String] {
        bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Begins the names of a workload, whose number follows; no name of a rule begins so. The host's come first, without.
    package static let mark = "\u{1}"

    /// The names that each workload's policies have.
    package static func encode(_ names: [(workload: UInt64, names: [String])]) -> [UInt8] {
        names.flatMap { group in
            (group.workload == SnapshotBundle.host ? [] : encode([mark + String(group.workload)])) + encode(group.names)
        }
    }

    /// The same, read.
    package static func groups(_ bytes: [UInt8]) -> [(workload: UInt64, names: [String])] {
        var groups: [(workload: UInt64, names: [String])] = [(SnapshotBundle.host, [])]
        for name in decode(bytes) {
            if name.hasPrefix(mark) {
                groups.append((UInt64(name.dropFirst()) ?? .max, []))
            } else {
                groups[groups.count - 1].names.append(name)
            }
        }
        return groups
    }

    /// Pairs of literal and canonical names, as the worker answers, by workload.
    package static func aliases(_ bytes: [UInt8]) -> [UInt64: [PathAlias]] {
        var result: [UInt64: [PathAlias]] = [:]
        for (workload, names) in groups(bytes) {
            result[workload] = stride(from: 0, to: names.count - names.count % 2, by: 2).map {
                PathAlias(literal: names[$0], canonical: names[$0 + 1])
            }
        }
        return result
    }
}

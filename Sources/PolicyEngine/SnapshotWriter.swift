import PolicyModel

/// Lays a draft out as bytes.
struct SnapshotWriter {
    private var draft: SnapshotDraft
    private let limits: CompilerLimits
    private let end: SourcePosition
    private var records = FlatOutput()
    private var recordCount = 0
    private var listStarts: [UInt32] = []
    private var floating = [UInt32](repeating: SnapshotLayout.none, count: 4)
    private var buckets: [UInt32] = []
    private var chunkOffsets: [UInt32] = []
    private var chunks = FlatOutput()

    typealias Field = SnapshotLayout.Field
    typealias NodeFlag = SnapshotLayout.NodeFlag
    typealias RecordFlag = SnapshotLayout.RecordFlag

    /// - Parameter end: the place that an error about the whole is reported at.
    init(_ draft: SnapshotDraft, limits: CompilerLimits, end: SourcePosition) {
        self.draft = draft
        self.limits = limits
        self.end = end
    }

    static func tooLarge(_ limits: CompilerLimits, _ position: SourcePosition) -> CompilationError {
        CompilationError(position: position, message: "the compiled rules are larger than \(limits.bytes) bytes")
    }

    consuming func write(
        postures: Postures, generation: UInt64, ruleCount: Int, presets: [(UInt32, UInt32)]
    ) throws(CompilationError) -> [UInt8] {
        let strings = layOutLists()
        layOutPatterns()
        let pairs = try table(layOutPairs(), words: 4) { [hash = draft.hash] in hash.hash(pair: $0[0], $0[1]) }
        let nodes = layOutNodes()
        let slots = try slotTable()
        var output = FlatOutput(headerSize: SnapshotLayout.headerSize)
        for section in SnapshotLayout.Section.allCases {
            let start = output.bytes.count
            switch section {
            case .text: output.append(bytes: draft.text)
            case .slots: output.append(slots)
            case .nodes: output.append(nodes)
            case .records: output.append(bytes: records.bytes)
            case .pairs: output.append(pairs)
            case .strings: output.append(strings)
            case .buckets: output.append(buckets)
            case .chunkOffsets: output.append(chunkOffsets)
            case .chunks: output.append(bytes: chunks.bytes)
            case .subjects: output.append(draft.subjects)
            case .direct: output.append(draft.direct)
            }
            guard output.bytes.count <= limits.bytes else { throw Self.tooLarge(limits, end) }
            let count = (output.bytes.count - start) / section.elementSize
            output.set(UInt32(start), at: Field.sections + section.rawValue * 8)
            output.set(UInt32(count), at: Field.sections + section.rawValue * 8 + 4)
            output.align()
        }
        writeHeader(&output, postures, generation, ruleCount, presets)
        return output.bytes
    }

    private func writeHeader(
        _ output: inout FlatOutput, _ postures: Postures, _ generation: UInt64, _ ruleCount: Int,
        _ presets: [(UInt32, UInt32)]
    ) {
        output.set(SnapshotLayout.magic, at: Field.magic)
        output.set(SnapshotLayout.version, at: Field.version)
        output.set(UInt64(output.bytes.count), at: Field.length)
        output.set(generation, at: Field.generation)
        output.set(draft.hash.multiplier, at: Field.multiplier)
        output.set(draft.hash.finisher, at: Field.finisher)
        output.set(draft.allowLists, at: Field.allowLists)
        output.set(draft.populated, at: Field.populated)
        output.set(draft.audited, at: Field.audited)
        output.set(UInt32(ruleCount), at: Field.ruleCount)
        for (index, depth) in depths().enumerated() { output.set(UInt32(depth), at: Field.depths + index * 4) }
        output.set(UInt32(presets.count), at: Field.presetCount)
        for (index, preset) in presets.enumerated() {
            output.set(preset.0, at: Field.presets + index * 8)
            output.set(preset.1, at: Field.presets + index * 8 + 4)
        }
        for (index, bucket) in floating.enumerated() { output.set(bucket, at: Field.floatingBuckets + index * 4) }
        for category in Category.allCases {
            let posture: Posture =
                switch category {
                case .process, .file: postures.file
                case .networkProtocol, .dns: postures.network
                case .capability: postures.capabilities
                case .syscall: .allow
                }
            output.set(posture.rawValue, at: Field.postures + Int(category.rawValue))
        }
        let checksum = output.bytes.withUnsafeBytes { SnapshotCheck.checksum($0) }
        output.set(checksum, at: Field.checksum)
    }

    // MARK: - Records

    private mutating func layOutLists() -> [UInt32] {
        var strings: [UInt32] = []
        for list in draft.lists {
            listStarts.append(UInt32(strings.count / 2))
            for entry in list {
                let length = UInt32(entry.text.count) | (entry.isRecursive ? SnapshotLayout.recursiveSource : 0)
                strings += [UInt32(draft.append(entry.text)), length]
            }
        }
        return strings
    }

    /// Writes a record; returns its index.
    private mutating func put(_ record: SnapshotDraft.Record) -> UInt32 {
        records.append(record.rule)
        records.append(record.flags)
        records.append(record.source)
        records.append(listStarts[record.list])
        records.append(UInt32(draft.lists[record.list].count))
        recordCount += 1
        return UInt32(recordCount - 1)
    }

    private mutating func put(_ list: [SnapshotDraft.Record]) -> (start: UInt32, count: UInt32) {
        let start = UInt32(recordCount)
        for record in list { _ = put(record) }
        return (start, UInt32(list.count))
    }

    /// Entries of four words; the nodes' flags follow from them.
    private mutating func layOutPairs() -> [[UInt32]] {
        var result: [[UInt32]] = []
        for (key, list) in draft.bound.sorted(by: { $0.key < $1.key }) {
            let first = UInt32(key >> 32)
            let isRecursive = list.contains { $0.flags & RecordFlag.recursive != 0 }
            let isDirect = list.contains { $0.flags & RecordFlag.recursive == 0 }
            var flags: UInt32 = 0
            switch first & 3 {
            case SnapshotLayout.PairKind.exact: flags = NodeFlag.boundExact
            case SnapshotLayout.PairKind.exactAudit: flags = NodeFlag.boundExactAudit
            case SnapshotLayout.PairKind.directory:
                flags = (isRecursive ? NodeFlag.boundRecursive : 0) | (isDirect ? NodeFlag.boundDirect : 0)
            default:
                flags = (isRecursive ? NodeFlag.boundRecursiveAudit : 0) | (isDirect ? NodeFlag.boundDirectAudit : 0)
                flags |= NodeFlag.directoryAudit
            }
            draft.nodes[Int(first >> 2)].flags |= flags
            let range = put(list)
            result.append([first, UInt32(truncatingIfNeeded: key), range.start, range.count])
        }
        return result
    }

    private mutating func layOutNodes() -> [UInt32] {
        var words: [UInt32] = []
        words.reserveCapacity(draft.nodes.count * 12)
        for index in draft.nodes.indices {
            let node = draft.nodes[index]
            let exact = node.exact.map { put($0) } ?? SnapshotLayout.none
            let directory = node.directory.map { put($0) } ?? SnapshotLayout.none
            let exactAudits = put(node.exactAudits)
            let directoryAudits = put(node.directoryAudits)
            let flags = node.flags | (node.directoryAudits.isEmpty ? 0 : NodeFlag.directoryAudit)
            draft.nodes[index].flags = flags
            words += [
                UInt32(node.text), UInt32(node.length), node.space, flags, exact, directory, exactAudits.start,
                exactAudits.count, directoryAudits.start, directoryAudits.count, node.bucket, node.auditBucket,
            ]
        }
        return words
    }

    /// For process, file and system calls: slashes up to and with the deepest directory's own.
    private func depths() -> [Int] {
        var depths = [0, 0, 0]
        let directory = NodeFlag.directoryAudit | NodeFlag.boundRecursive | NodeFlag.boundDirect
        for node in draft.nodes {
            guard
                node.directory != nil || node.flags & directory != 0 || node.bucket != SnapshotLayout.none
                    || node.auditBucket != SnapshotLayout.none
            else { continue }
            let slashes = draft.text[node.text..<(node.text + node.length)].count { $0 == UInt8(ascii: "/") }
            let kind = node.space == KeySpace.process ? 0 : node.space == KeySpace.file ? 1 : 2
            depths[kind] = max(depths[kind], slashes + 1)
        }
        return depths
    }

    // MARK: - Tables

    private func slotTable() throws(CompilationError) -> [UInt32] {
        let named = draft.nodes.indices.filter { draft.nodes[$0].space != KeySpace.direct }
        let entries = named.map { [UInt32(truncatingIfNeeded: draft.nodes[$0].hash), UInt32($0)] }
        return try table(entries, words: 2, empty: 1) { [nodes = draft.nodes] in nodes[Int($0[1])].hash }
    }

    /// Entries in an open hash table at most half full, so large that no probe is longer than `maxProbe`.
    private func table(
        _ entries: [[UInt32]], words: Int, empty: Int = 0, _ hash: ([UInt32]) -> UInt64
    ) throws(CompilationError) -> [UInt32] {
        let hashes = entries.map(hash)
        var size = 16
        while size < entries.count * 2 { size *= 2 }
        // A power of the load below one over a thousand: a table of honest hashes has fitted long before.
        for _ in 0..<10 {
            var result = [UInt32](repeating: SnapshotLayout.none, count: size * words)
            let fits = zip(entries, hashes).allSatisfy { entry, hash in
                var slot = Int(truncatingIfNeeded: hash >> 32) & (size - 1)
                for _ in 0..<SnapshotLayout.maxProbe {
                    if result[slot * words + empty] == SnapshotLayout.none {
                        for word in 0..<words { result[slot * words + word] = entry[word] }
                        return true
                    }
                    slot = (slot + 1) & (size - 1)
                }
                return false
            }
            if fits { return result }
            size *= 2
        }
        throw CompilationError(position: end, message: "the hash tables cannot be laid out; compile again")
    }

    // MARK: - Patterns

    /// The patterns of one directory, without it.
    private struct Bucket {
        var isProcess: Bool
        var audits: Bool
        /// With its trailing slash; empty for patterns that do not begin with a directory.
        var directory: [UInt8]
        var paths: [(path: PatternTrie.Path, record: UInt32)] = []
    }

    private struct BucketKey: Hashable {
        var isProcess: Bool
        var audits: Bool
        var directory: [UInt8]
    }

    private mutating func layOutPatterns() {
        var groups: [Bucket] = []
        var numbers: [BucketKey: Int] = [:]
        for pattern in draft.patterns {
            let record = put(pattern.record)
            for tokens in pattern.alternatives {
                let literal = SubjectNames.literal(tokens)
                let end = literal.first == UInt8(ascii: "/") ? literal.lastIndex(of: UInt8(ascii: "/")) : nil
                let directory = end.map { Array(literal[...$0]) } ?? []
                let key = BucketKey(isProcess: pattern.isProcess, audits: pattern.audits, directory: directory)
                let number = numbers[key, default: groups.count]
                if number == groups.count {
                    groups.append(Bucket(isProcess: key.isProcess, audits: key.audits, directory: directory))
                    numbers[key] = number
                }
                groups[number].paths.append((PatternTrie.Path(tokens[directory.count...]), record))
            }
        }
        // A directory above has a shorter name, so that parents come first.
        var written: [BucketKey: UInt32] = [:]
        for group in groups.sorted(by: { $0.directory.count < $1.directory.count }) {
            let key = BucketKey(isProcess: group.isProcess, audits: group.audits, directory: group.directory)
            written[key] = writeBucket(group, parent: parent(of: key, written))
        }
    }

    private func parent(of key: BucketKey, _ written: [BucketKey: UInt32]) -> UInt32 {
        var key = key
        while !key.directory.isEmpty {
            let above = key.directory.dropLast().lastIndex(of: UInt8(ascii: "/"))
            key.directory = above.map { Array(key.directory[...$0]) } ?? []
            if let number = written[key] { return number }
        }
        return SnapshotLayout.none
    }

    private mutating func writeBucket(_ group: Bucket, parent: UInt32) -> UInt32 {
        let number = UInt32(buckets.count / 4)
        let first = UInt32(chunkOffsets.count)
        var trie = PatternTrie()
        for (path, record) in group.paths {
            if !trie.hasRoom(for: path) {
                writeChunk(trie)
                trie = PatternTrie()
            }
            trie.insert(path, record: record)
        }
        writeChunk(trie)
        buckets += [UInt32(group.directory.count), parent, first, UInt32(chunkOffsets.count) - first]
        if group.directory.isEmpty {
            floating[(group.isProcess ? 0 : 2) + (group.audits ? 1 : 0)] = number
        } else {
            let space = group.isProcess ? KeySpace.process : KeySpace.file
            let node = draft.node(directory: group.directory, space)
            if group.audits { draft.nodes[node].auditBucket = number } else { draft.nodes[node].bucket = number }
        }
        return number
    }

    private mutating func writeChunk(_ trie: PatternTrie) {
        chunkOffsets.append(UInt32(chunks.bytes.count / 8))
        chunks.append(bytes: PatternEncoder(trie).encode())
    }
}

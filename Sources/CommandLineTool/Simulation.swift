import ClientSupport
import PolicyEngine
import PolicyModel

/// An operation and what is known of it.
struct Simulation {
    /// What is done.
    enum Operation: Equatable {
        case open(path: String, write: Bool)
        /// The arguments without argv[0].
        case execute(path: String, arguments: [String])
        case socket(SocketArgument)
    }

    var operation: Operation
    /// Executable that rules with `fromSource` are compared with.
    var source: String
    /// Whether the caller owns the file; `nil` when unknown.
    var isOwner: Bool?
    /// The caller has a controlling terminal.
    var hasTerminal: Bool

    /// The engine's verdict.
    func verdict(_ compiled: CompiledSnapshot) throws(ToolFailure) -> Verdict {
        // The engine reads 64-bit words, so the table is copied to aligned memory.
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: compiled.bytes.count, alignment: 16)
        defer { memory.deallocate() }
        memory.copyBytes(from: compiled.bytes)
        let snapshot: Snapshot
        do { snapshot = try Snapshot(validating: UnsafeRawBufferPointer(memory)) } catch {
            throw ToolFailure("the compiled policies are damaged: \(error)")
        }
        let verdict = Array(source.utf8).withUnsafeBytes { source in
            switch operation {
            case .open(let path, let write):
                return decide(snapshot, .file, path, source) {
                    $0.isWrite = write
                    $0.known.insert(.write)
                }
            case .execute(let path, let arguments):
                let argv: [UInt8] = ([path] + arguments).flatMap { Array($0.utf8) + [0] }
                return argv.withUnsafeBytes { argv in
                    decide(snapshot, .process, path, source) {
                        $0.arguments = argv
                        $0.known.insert([.arguments, .write])
                    }
                }
            case .socket(let socket):
                return snapshot.protocolVerdict(
                    type: socket.type, protocolNumber: socket.protocolNumber, isInternet: socket.isInternet,
                    source: source, hasTerminal: hasTerminal)
            }
        }
        guard verdict.isDecided else {
            throw ToolFailure("the verdict depends on who owns the file, which is not here: give --owner")
        }
        return verdict
    }

    private func decide(
        _ snapshot: Snapshot, _ category: PolicyEngine.Category, _ path: String, _ source: UnsafeRawBufferPointer,
        _ fill: (inout ObjectOperation) -> Void
    ) -> Verdict {
        Array(path.utf8).withUnsafeBytes { path in
            var operation = ObjectOperation(category: category, path: path)
            operation.known = [.source, .terminal, .process]
            operation.source = source
            operation.hasTerminal = hasTerminal
            if let isOwner {
                operation.isOwner = isOwner
                operation.known.insert(.ownership)
            }
            fill(&operation)
            return snapshot.verdict(for: operation)
        }
    }
}

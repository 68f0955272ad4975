import CLibFuzzer
import Glibc
import PolicyEngine
import PolicyLoading
import PolicyModel

/// Feeds libFuzzer's inputs to the loader, and what loads to the compiler.
@main
struct PolicyLoadingFuzz {
    static func main() {
        var count = CommandLine.argc
        var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
        let status = withUnsafeMutablePointer(to: &arguments) { arguments in
            LLVMFuzzerRunDriver(&count, arguments) { data, size in
                PolicyLoadingFuzz.check(Array(UnsafeBufferPointer(start: data, count: size)))
                return 0
            }
        }
        exit(status)
    }

    private static func check(_ bytes: [UInt8]) {
        // An abort is how libFuzzer hears of a violation.
        if let violation = LoadingExercise.violation(bytes) { fatalError(violation) }
        let policies = PolicyDocumentLoader().load(bytes: bytes, file: "input").policies
        guard !policies.isEmpty else { return }
        // The compiler may refuse, with a place; what it makes is a snapshot.
        guard
            let compiled = try? SnapshotCompiler(seed: 1).compile(
                policies: policies, postures: Postures(), generation: 1)
        else { return }
        compiled.bytes.withUnsafeBytes { snapshot in
            do { _ = try Snapshot(validating: snapshot) } catch { fatalError("the compiler's own snapshot: \(error)") }
        }
    }
}

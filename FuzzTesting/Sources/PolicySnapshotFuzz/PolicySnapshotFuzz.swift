import CLibFuzzer
import Glibc

/// Feeds libFuzzer's inputs to the snapshot reader, with length and checksum made right.
@main
struct PolicySnapshotFuzz {
    static func main() {
        var count = CommandLine.argc
        var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
        let status = withUnsafeMutablePointer(to: &arguments) { arguments in
            LLVMFuzzerRunDriver(&count, arguments) { data, size in
                var bytes = Array(UnsafeBufferPointer(start: data, count: size))
                SnapshotExercise.seal(&bytes)
                // A heap copy of just this size: the sanitizer sees a read one byte beyond it.
                bytes.withUnsafeBytes { _ = SnapshotExercise.open($0) }
                return 0
            }
        }
        exit(status)
    }
}

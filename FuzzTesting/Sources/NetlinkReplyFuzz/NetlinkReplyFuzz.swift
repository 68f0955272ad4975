import CLibFuzzer
import Glibc

/// Feeds libFuzzer's inputs to the readers of netlink datagrams.
@main
struct NetlinkReplyFuzz {
    static func main() {
        var count = CommandLine.argc
        var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
        let status = withUnsafeMutablePointer(to: &arguments) { arguments in
            LLVMFuzzerRunDriver(&count, arguments) { data, size in
                // An abort is how libFuzzer hears of a violation.
                if let violation = NetlinkExercise.violation(Array(UnsafeBufferPointer(start: data, count: size))) {
                    fatalError(violation)
                }
                return 0
            }
        }
        exit(status)
    }
}

import Glibc
import LinuxKernel

/// `portcullis-hook runtime [OPTION…] -- RUNTIME [ARGUMENT…]`: stands before a container runtime where the engine has no place for hooks
/// (containerd, Docker). It puts our hooks into the configuration of a container that is to be made, and becomes the runtime.
enum RuntimeProgram {
    static let usage =
        "usage: portcullis-hook runtime [--socket PATH] [--timeout SECONDS] [--on-timeout deny|allow] -- RUNTIME [ARGUMENT…]"

    /// - Parameter arguments: behind `runtime`.
    /// - Returns: the exit code if the runtime is not run. Then no container starts.
    static func run(_ arguments: [String]) -> Int32 {
        do {
            guard let end = arguments.firstIndex(of: "--"), end + 1 < arguments.count else { throw HookFailure(usage) }
            let options = Array(arguments[..<end])
            // Said here, before the hook says so of every container.
            _ = try HookOptions([HookMessage.Stage.createRuntime.rawValue] + options)
            let command = Array(arguments[(end + 1)...])
            if let path = RuntimeCommand(Array(command.dropFirst())).configuration {
                try prepare(path, BundleHooks(program: try ownPath(), options: options))
            }
            throw HookFailure("\(command[0]): \(become(command))")
        } catch {
            HookProgram.complain("\(error)")
            return 1
        }
    }

    /// Puts the hooks into a configuration, at once or not at all.
    private static func prepare(_ path: String, _ hooks: BundleHooks) throws {
        let file = try named(path) { try PathOpening.open(path, flags: OpenFlags.readOnly) }
        let bytes = try named(path) { try file.readAll(limit: HookMessage.limit) }
        guard let changed = try hooks.adding(to: bytes) else { return }
        var status = stat()
        guard fstat(file.raw, &status) == 0 else { throw HookFailure("\(path): \(Self.lastError)") }
        var name = Array((path + ".XXXXXX").utf8CString)
        let new = Descriptor(owning: mkstemp(&name))
        guard new.raw >= 0 else { throw HookFailure("\(path): \(Self.lastError)") }
        guard fchmod(new.raw, status.st_mode & 0o7777) == 0, fchown(new.raw, status.st_uid, status.st_gid) == 0,
            HookProgram.write(changed, to: new.raw), rename(name, path) == 0
        else {
            let problem = HookFailure("\(path): \(Self.lastError)")
            unlink(name)
            throw problem
        }
    }

    private static func named<Result: ~Copyable>(
        _ path: String, _ body: () throws -> Result
    ) throws(HookFailure) -> Result {
        do { return try body() } catch { throw HookFailure("\(path): \(error)") }
    }

    private static func ownPath() throws(HookFailure) -> String {
        guard let path = realpath("/proc/self/exe", nil) else { throw HookFailure("/proc/self/exe: \(lastError)") }
        defer { free(path) }
        return String(cString: path)
    }

    /// Executes a program in our place, with our descriptors and signals; why that was not possible.
    private static func become(_ command: [String]) -> String {
        let words = command.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        execvp(command[0], words)
        return lastError
    }

    private static var lastError: String { String(cString: strerror(errno)) }
}

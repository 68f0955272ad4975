import CLinux
import Glibc

/// A program of the same release as the calling one, found by where that lies, opened once, and executed by its descriptor: neither
/// PATH nor a file that is exchanged later has a say in what runs.
public struct CompanionProgram: ~Copyable, Sendable {
    /// Why there is none; one line for people.
    public struct NotFound: Error, CustomStringConvertible, Sendable {
        /// For people.
        public let description: String
    }

    /// The open program.
    public let descriptor: Descriptor
    /// Where it was found.
    public let path: String

    /// The calling program itself.
    public static func own() throws(NotFound) -> CompanionProgram {
        let path = try ownPath()
        return CompanionProgram(descriptor: try open("/proc/self/exe", shown: path), path: path)
    }

    /// The program of this name in the calling program's directory or, where that is `bin` or `sbin`, in
    /// `../libexec/portcullis`.
    ///
    /// - Throws: when there is none, or when it can be written by somebody who cannot write the calling program.
    public static func find(_ name: String) throws(NotFound) -> CompanionProgram {
        let own = try ownPath()
        let directory = own.lastIndex(of: "/").map { own[..<$0] } ?? ""
        var places = ["\(directory)/\(name)"]
        if let parent = directory.lastIndex(of: "/"), ["bin", "sbin"].contains(directory[parent...].dropFirst()) {
            places.append("\(directory[..<parent])/libexec/portcullis/\(name)")
        }
        guard let path = places.first(where: { access($0, X_OK) == 0 }) else {
            throw NotFound(description: "\(name) is missing: there is no \(places.joined(separator: ", and no "))")
        }
        let descriptor = try open(path, shown: path)
        let ownFile = try open("/proc/self/exe", shown: own)
        var (theirs, ours) = (stat(), stat())
        guard fstat(descriptor.raw, &theirs) == 0, fstat(ownFile.raw, &ours) == 0 else {
            throw NotFound(description: "\(path): \(KernelError.message(errno))")
        }
        let othersMayWrite: mode_t = 0o022
        guard theirs.st_mode & S_IFMT == S_IFREG, theirs.st_uid == 0 || theirs.st_uid == ours.st_uid,
            theirs.st_mode & othersMayWrite & ~ours.st_mode == 0
        else { throw NotFound(description: "\(path): more users may change it than may change \(own)") }
        return CompanionProgram(descriptor: descriptor, path: path)
    }

    /// Becomes the program. Descriptors that the caller was started with stay open: whoever started it may watch them.
    ///
    /// - Parameter keeping: descriptors of the caller's own that the program gets too, under the same numbers.
    /// - Returns: the errno; only when it failed.
    public borrowing func become(
        arguments: [String], environment: [String] = environment, keeping: [Int32] = []
    ) -> Int32 {
        for kept in keeping {
            let result = pc_set_close_on_exec(kept, 0)
            if result < 0 { return -result }
        }
        let (argv, envp) = (CStringArray(arguments), CStringArray(environment))
        return withExtendedLifetime((argv, envp)) {
            argv.pointers.withUnsafeBufferPointer { argv in
                envp.pointers.withUnsafeBufferPointer { envp in
                    guard let argv = argv.baseAddress, let envp = envp.baseAddress else { return EINVAL }
                    return -pc_execute(descriptor.raw, argv, envp)
                }
            }
        }
    }

    /// The caller's environment.
    public static var environment: [String] {
        var result: [String] = []
        var entry = environ
        while let text = entry.pointee {
            result.append(String(cString: text))
            entry += 1
        }
        return result
    }

    private static func open(_ path: String, shown: String) throws(NotFound) -> Descriptor {
        do { return try PathOpening.open(path, flags: OpenFlags.readOnly) } catch {
            throw NotFound(description: "\(shown): \(KernelError.message(error.errno))")
        }
    }

    /// Where the calling program lies, or lay before it was replaced.
    private static func ownPath() throws(NotFound) -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        guard count > 0 else { throw NotFound(description: "/proc/self/exe: \(KernelError.message(errno))") }
        let path = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let mark = " (deleted)"
        return path.hasSuffix(mark) ? String(path.dropLast(mark.count)) : path
    }
}

import Foundation

/// Runs programs and collects what they say. By posix_spawn(3): a thousand of them are run, also where each costs (an emulated processor).
enum Shell {
    struct Result {
        var status: Int32
        var output: String
        var error: String
    }

    static func run(_ arguments: String..., input: String? = nil) -> Result { run(arguments, input: input) }

    static func run(_ arguments: [String], input: String? = nil) -> Result {
        do {
            let (inp, out, err) = (try PipeEnds(), try PipeEnds(), try PipeEnds())
            let child: Child
            do { child = try Child(arguments, [inp.read, out.write, err.write]) } catch {
                for end in [inp, out, err] { end.closeBoth() }
                throw error
            }
            for end in [inp.read, out.write, err.write] { close(end) }
            let texts = exchange(Array((input ?? "").utf8), to: inp.write, from: [out.read, err.read])
            return Result(status: child.wait(), output: texts[0], error: texts[1])
        } catch { return Result(status: 127, output: "", error: "\(error)") }
    }

    @discardableResult static func check(_ arguments: String...) throws -> String { try check(arguments) }

    @discardableResult static func check(_ arguments: [String]) throws -> String {
        let result = run(arguments)
        if result.status != 0 { throw ScratchError(text: "\(arguments): \(result.error)") }
        return result.output
    }

    /// Tests run on threads that block most signals, and a child starts with its parent's mask: timeout(1) would never fire.
    static func withoutBlockedSignals(_ body: () throws -> Void) rethrows {
        var (none, before) = (sigset_t(), sigset_t())
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        try body()
    }

    private struct PipeEnds {
        let read: Int32
        let write: Int32

        init() throws {
            var ends: [Int32] = [-1, -1]
            guard pipe(&ends) == 0 else { throw ScratchError(text: "pipe: \(String(cString: strerror(errno)))") }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            (read, write) = (ends[0], ends[1])
        }

        func closeBoth() {
            close(read)
            close(write)
        }
    }

    /// Writes all of the input and reads the outputs to their ends, whichever is ready; closes all.
    private static func exchange(_ input: [UInt8], to sink: Int32, from sources: [Int32]) -> [String] {
        var rest = input[...]
        var bytes = sources.map { _ in [UInt8]() }
        // A program that does not read its input must not hold the test up.
        _ = fcntl(sink, F_SETFL, O_NONBLOCK)
        var polled = sources.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        polled.append(pollfd(fd: sink, events: Int16(POLLOUT), revents: 0))
        let last = polled.count - 1
        var buffer = [UInt8](repeating: 0, count: 65536)
        while polled.contains(where: { $0.fd >= 0 }) {
            if rest.isEmpty, polled[last].fd >= 0 {
                close(sink)
                polled[last].fd = -1
                continue
            }
            if poll(&polled, nfds_t(polled.count), -1) < 0 { continue }
            for index in sources.indices where polled[index].revents != 0 {
                let count = read(polled[index].fd, &buffer, buffer.count)
                if count > 0 {
                    bytes[index] += buffer[..<count]
                } else if count == 0 || errno != EINTR {
                    close(polled[index].fd)
                    polled[index].fd = -1
                }
            }
            guard polled[last].fd >= 0, polled[last].revents != 0 else { continue }
            let count = rest.withUnsafeBytes { write(sink, $0.baseAddress, $0.count) }
            if count > 0 { rest = rest.dropFirst(count) } else if errno != EAGAIN, errno != EINTR { rest = [] }
        }
        return bytes.map { String(decoding: $0, as: UTF8.self) }
    }
}

/// A program that runs beside the test.
final class Child {
    let pid: Int32
    private var status: Int32?

    /// Starts it; looked up in PATH.
    ///
    /// - Parameter streams: what become its descriptors 0, 1 and 2.
    init(_ arguments: [String], _ streams: [Int32]) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (number, stream) in streams.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, stream, Int32(number))
        }
        // Tests run on threads that block most signals, and a child starts with its parent's mask: timeout(1) would never fire.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var words = arguments.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var number: pid_t = 0
        let error = posix_spawnp(&number, arguments[0], &actions, &attributes, &words, environ)
        guard error == 0 else { throw ScratchError(text: "\(arguments[0]): \(String(cString: strerror(error)))") }
        pid = number
    }

    /// Whether it has not ended yet.
    var isRunning: Bool { reap(WNOHANG) == nil }

    /// Its exit code, or 128 and the number of the signal that ended it; when it has ended.
    @discardableResult func wait() -> Int32 { reap(0) ?? -1 }

    private func reap(_ options: Int32) -> Int32? {
        if let status { return status }
        var raw: Int32 = 0
        var result: pid_t
        repeat { result = waitpid(pid, &raw, options) } while result < 0 && errno == EINTR
        guard result == pid else { return nil }
        status = raw & 0x7F == 0 ? (raw >> 8) & 0xFF : 128 + (raw & 0x7F)
        return status
    }
}

struct ScratchError: Error, CustomStringConvertible {
    let text: String
    var description: String { text }
}

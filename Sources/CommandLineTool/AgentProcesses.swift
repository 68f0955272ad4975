import ClientSupport
import Glibc
import LinuxKernel

/// The agent's processes as named by its pid files, for ending one that does not answer.
struct AgentProcesses {
    /// The guardian first: it would restart the others.
    private static let roles = ["guardian", "worker", "front"]
    /// Names of the agent's programs: that of the front, and that of guardian and worker.
    private static let programs = ["portcullisd", "portcullis-core"]

    private let named: [(role: String, pid: Int32)]

    /// Reads `<role>.pid` of each role.
    init(runDirectory: String) {
        named = Self.roles.compactMap { role in
            guard let pid = Self.pid(in: "\(runDirectory)/\(role).pid") else { return nil }
            return (role, pid)
        }
    }

    /// There is at least one pid file.
    var isNamed: Bool { !named.isEmpty }

    /// Waits until none of them is the agent's any more; false when that takes longer than `seconds`.
    func haveEnded(within seconds: Int) -> Bool {
        for _ in 0..<(seconds * 100) {
            if !named.contains(where: { Self.isAgent($0.pid) }) { return true }
            usleep(10_000)
        }
        return false
    }

    /// Kills those that still are the agent's: a pid file may be a leftover whose number another program has by now.
    ///
    /// - Returns: a line for each killed process.
    /// - Throws: when one cannot be killed; the others are killed nevertheless.
    func kill() throws(ToolFailure) -> [String] {
        var done: [String] = []
        var problems: [String] = []
        for (role, pid) in named {
            guard let code = Self.kill(pid) else { continue }
            if code == 0 {
                done.append("killed the \(role) (process \(pid))")
            } else {
                problems.append("the \(role) (process \(pid)) cannot be killed: \(systemMessage(code))")
            }
        }
        if !problems.isEmpty { throw ToolFailure(done + problems) }
        return done
    }

    /// 0 or an errno; `nil` when this is no process of the agent.
    private static func kill(_ pid: Int32) -> Int32? {
        do {
            let descriptor = try ProcessDescriptor.open(pid)
            // Looked at while the descriptor holds the process: the number cannot change its meaning in between.
            guard isAgent(pid) else { return nil }
            let result = ProcessDescriptor.sendSignal(SIGKILL, to: descriptor.raw)
            guard result == 0 else { return result == -ESRCH ? nil : -result }
            return awaitEnd(descriptor.raw)
        } catch {
            return error.errno == ESRCH ? nil : error.errno
        }
    }

    /// 0 once the process has ended; ETIMEDOUT when it is still there after two seconds.
    private static func awaitEnd(_ descriptor: Int32) -> Int32 {
        var waited = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while true {
            let count = poll(&waited, 1, 2000)
            if count < 0 && errno == EINTR { continue }
            return count > 0 ? 0 : count == 0 ? ETIMEDOUT : errno
        }
    }

    static func isAgent(_ pid: Int32) -> Bool {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/\(pid)/exe", &buffer, buffer.count)
        guard count > 0 else { return false }
        let path = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let name = path.split(separator: "/").last ?? ""
        return programs.contains { name == $0 || name == "\($0) (deleted)" }
    }

    private static func pid(in file: String) -> Int32? {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 32)
        let count = read(descriptor, &buffer, buffer.count)
        guard count > 0 else { return nil }
        let text = String(decoding: buffer[..<count], as: UTF8.self)
        guard let pid = Int32(text.split(whereSeparator: \.isWhitespace).first ?? ""), pid > 1 else { return nil }
        return pid
    }
}

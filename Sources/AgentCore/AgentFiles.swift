import Glibc
import LinuxKernel

/// The files of the run and state directories.
enum AgentFiles {
    /// Makes the directories, takes the lock, writes the guardian's pid file.
    ///
    /// - Returns: one line that says what is wrong, or the lock's descriptor.
    static func prepare(_ settings: AgentSettings) -> Result<Int32, AgentStartError> {
        if settings.isRootless, let failure = makeParents(of: settings.stateDirectory) { return .failure(failure) }
        for (path, mode, owner) in [
            (settings.runDirectory, mode_t(settings.isRootless ? 0o700 : 0o755), settings.isRootless ? geteuid() : 0),
            (settings.stateDirectory, mode_t(0o700), settings.frontUser),
            (settings.stateDirectory + "/policies", mode_t(0o700), settings.frontUser),
            (settings.stateDirectory + "/trees", mode_t(0o700), settings.frontUser),
            (settings.stateDirectory + "/containers", mode_t(0o700), settings.frontUser),
        ] + gatewayDirectories(settings) {
            if mkdir(path, mode) != 0 && errno != EEXIST { return .failure(.file(path, errno)) }
            var status = stat()
            guard lstat(path, &status) == 0 else { return .failure(.file(path, errno)) }
            guard status.st_mode & S_IFMT == S_IFDIR else { return .failure(.file(path, ENOTDIR)) }
            if status.st_uid != owner && chown(path, owner, owner == 0 ? 0 : settings.frontGroup) != 0 {
                return .failure(.file(path, errno))
            }
        }
        if settings.usesGateway, !settings.isRootless {
            // What the front writes there the gateway reads, as the directory's group.
            let path = settings.spoolDirectory
            guard chown(path, settings.frontUser, settings.gatewayUser) == 0, chmod(path, 0o2750) == 0 else {
                return .failure(.file(path, errno))
            }
        }
        let lock = open(settings.runDirectory + "/lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard lock >= 0 else { return .failure(.file(settings.runDirectory + "/lock", errno)) }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            RawDescriptor.close(lock)
            return .failure(.alreadyRunning(settings.runDirectory))
        }
        writePid(getpid(), role: .guardian, settings)
        return .success(lock)
    }

    private static func gatewayDirectories(_ settings: AgentSettings) -> [(String, mode_t, UInt32)] {
        guard settings.usesGateway else { return [] }
        let gateway = settings.isRootless ? settings.frontUser : settings.gatewayUser
        return [
            (settings.spoolDirectory, 0o700, settings.frontUser), (settings.gatewayStateDirectory, 0o700, gateway),
        ]
    }

    /// `~/.local/state` need not be there.
    private static func makeParents(of path: String) -> AgentStartError? {
        var parent = ""
        for name in path.split(separator: "/").dropLast() {
            parent += "/" + name
            if mkdir(parent, 0o700) != 0, errno != EEXIST, errno != EROFS, errno != EACCES {
                return .file(parent, errno)
            }
        }
        return nil
    }

    /// Writes `<role>.pid`, for `portcullis unlock` without an agent that answers.
    static func writePid(_ pid: Int32, role: AgentRole, _ settings: AgentSettings) {
        let path = pidPath(role, settings)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else {
            AgentLog.warning("\(path): \(String(cString: strerror(errno)))")
            return
        }
        let text = Array("\(pid)\n".utf8)
        if write(descriptor, text, text.count) != text.count { AgentLog.warning("\(path): not written") }
        RawDescriptor.close(descriptor)
    }

    /// What `<role>.pid` says.
    static func readPid(role: AgentRole, _ settings: AgentSettings) -> Int32? {
        guard let file = try? PathOpening.open(pidPath(role, settings), flags: OpenFlags.readOnly | OpenFlags.noFollow),
            let bytes = try? file.readAll(limit: 32)
        else { return nil }
        return Int32(String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)).flatMap {
            $0 > 1 ? $0 : nil
        }
    }

    /// Removes socket and pid files.
    static func removeRunFiles(_ settings: AgentSettings) {
        for role in [AgentRole.guardian, .worker, .front] { unlink(pidPath(role, settings)) }
        unlink(settings.effectiveSocketPath)
        unlink(settings.runtimeSocketPath)
    }

    private static func pidPath(_ role: AgentRole, _ settings: AgentSettings) -> String {
        "\(settings.runDirectory)/\(role.rawValue).pid"
    }
}

/// Why the agent does not start; each is one line for people.
enum AgentStartError: Error, CustomStringConvertible {
    case file(String, Int32)
    case alreadyRunning(String)
    case missingCapability(String)
    case missingFeature(String, String)
    case policyPath(String, String)

    var description: String {
        switch self {
        case .file(let path, let code): "\(path): \(String(cString: strerror(code)))"
        case .alreadyRunning(let directory): "another agent is already running (it holds \(directory)/lock)"
        case .missingCapability(let name):
            "\(name) is needed and missing: run as root with that capability, or with --rootless as another user"
        case .missingFeature(let name, let reason): "this kernel lacks \(name): \(reason)"
        case .policyPath(let path, let reason): "\(path): \(reason)"
        }
    }
}

/// The alerts file: opened by the guardian, written by the front.
enum AlertsFile {
    /// Opens it for appending; -1 when there is none to be written.
    static func open(_ settings: AgentSettings) throws(KernelError) -> Int32 {
        if settings.alertsPath.isEmpty { return -1 }
        if settings.alertsPath == "-" {
            let copy = fcntl(1, F_DUPFD_CLOEXEC, 3)
            guard copy >= 0 else { throw KernelError("fcntl", errno: errno) }
            return copy
        }
        let descriptor = Glibc.open(
            settings.alertsPath, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0o640)
        guard descriptor >= 0 else { throw KernelError("open the alerts file", errno: errno) }
        return descriptor
    }

    /// Whether it is near its limit. The writer asks shortly before the limit, and once more when the answer takes its time.
    static func isFull(_ descriptor: Int32, _ settings: AgentSettings) -> Bool {
        var status = stat()
        guard settings.alertsRotateBytes > 0, fstat(descriptor, &status) == 0 else { return false }
        return status.st_size > 0 && Int(status.st_size) >= settings.alertsRotateBytes / 2
    }

    /// Moves `FILE` to `FILE.1`, `FILE.1` to `FILE.2` … up to the number of files to keep, and opens a new one.
    static func rotate(_ settings: AgentSettings) throws(KernelError) -> Int32 {
        let path = settings.alertsPath
        for number in stride(from: settings.alertsKeep, through: 1, by: -1) {
            let from = number == 1 ? path : "\(path).\(number - 1)"
            if rename(from, "\(path).\(number)") != 0, errno != ENOENT {
                throw KernelError("rename the alerts file", errno: errno)
            }
        }
        return try open(settings)
    }
}

/// sd_notify(3): tells the service manager that enforcement is on.
enum ServiceManager {
    static func notifyReady() {
        guard let text = getenv("NOTIFY_SOCKET") else { return }
        var path = Array(String(cString: text).utf8)
        guard !path.isEmpty, path.count < 108 else { return }
        if path[0] == UInt8(ascii: "@") { path[0] = 0 }
        let socket = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { return }
        defer { RawDescriptor.close(socket) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + path.count)
        let message = Array("READY=1".utf8)
        _ = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(socket, message, message.count, Int32(MSG_NOSIGNAL), $0, length)
            }
        }
    }
}

import ControlProtocol
import Glibc

/// The launcher's command line. Few options, and those of `portcullis run`, which has checked them; nothing here needs a library.
struct LauncherArguments: Equatable {
    /// The agent's socket.
    var socket = ""
    /// Policies of the tree's own.
    var policies: [String] = []
    /// Landlock is a second wall around what the tree may change.
    var landlock = false
    /// The program and its arguments; never empty.
    var command: [String] = []

    /// What a command line asks for.
    enum Request: Equatable {
        case launch(LauncherArguments)
        /// A text for standard output.
        case show(String)
        /// One line for standard error.
        case wrong(String)
    }

    /// Reads what follows the program's name.
    static func parse(_ words: [String]) -> Request {
        var result = LauncherArguments()
        result.socket = defaultSocket
        var rest = words[...]
        while let word = rest.popFirst() {
            switch word {
            case "--socket", "--policies":
                guard let value = rest.popFirst() else { return .wrong("Missing the value of \(word)") }
                if word == "--socket" { result.socket = value } else { result.policies.append(value) }
            case "--landlock": result.landlock = true
            case "--version": return .show(ReleaseVersion.text)
            case "--help": return .show(help)
            case "--":
                result.command = Array(rest)
                return rest.isEmpty ? .wrong("Missing the program, after --") : .launch(result)
            default: return .wrong("Unknown option \(word); a program comes after --")
            }
        }
        return .wrong("Missing the program, after --")
    }

    private static var defaultSocket: String {
        guard let variable = getenv(DefaultPaths.socketVariable), variable.pointee != 0 else {
            return DefaultPaths.ownSocket
        }
        return String(cString: variable)
    }

    private static let help = """
        usage: portcullis-launch [--socket PATH] [--policies PATH]... [--landlock] -- PROGRAM [ARGUMENT]...

        Becomes PROGRAM as a supervised tree; 'portcullis help run' says what that is. For units of systemd, which
        'portcullis systemd enable' writes.
        """
}

import ClientSupport
import ArgumentParser
import ControlProtocol
import PolicyLoading
import PolicyModel

/// `portcullis check PATH…`
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Validates policy files as strictly as the agent does; needs no agent.")

    @Argument(help: "Policy files, and folders of them.", completion: .file())
    var paths: [String]

    @OptionGroup var output: OutputOptions

    func run() throws {
        var report = CheckReport()
        for path in paths {
            let files = PolicyFileReader.files(at: path)
            if files.isEmpty { report.add(path, Self.emptyFolder(path)) }
            for file in files { report.add(file, CompilationCheck.checked(PolicyFileReader.load(file))) }
        }
        if output.json {
            try StandardStreams.write(json: report)
        } else {
            try StandardStreams.write(report.lines(.standardOutput))
        }
        // The report has said everything already.
        if report.invalid > 0 { throw ToolFailure([]) }
    }

    /// Most likely a mistyped path; the other paths are checked nevertheless.
    private static func emptyFolder(_ path: String) -> LoadResult {
        let position = SourcePosition(file: path, line: 1, column: 1)
        return LoadResult(
            diagnostics: [Diagnostic(position: position, message: "there is no policy file in this folder")])
    }
}

/// The findings of `check`.
struct CheckReport: Encodable {
    /// One file.
    struct File: Encodable {
        var file: String
        var valid: Bool
        var policies: Int
        var problems: [Problem]
    }

    /// One problem of a file.
    struct Problem: Encodable {
        var line: Int
        var column: Int
        var severity: String
        var message: String
    }

    private(set) var files: [File] = []
    private(set) var valid = 0
    private(set) var invalid = 0

    mutating func add(_ file: String, _ result: LoadResult) {
        if result.isValid { valid += 1 } else { invalid += 1 }
        files.append(
            File(
                file: file, valid: result.isValid, policies: result.policies.count,
                problems: result.diagnostics.map {
                    Problem(
                        line: $0.position.line, column: $0.position.column,
                        severity: $0.severity == .error ? "error" : "warning", message: $0.message)
                }))
    }

    /// One line a problem, then the sum.
    func lines(_ style: TextStyle) -> [String] {
        var lines: [String] = []
        for file in files {
            for problem in file.problems {
                let place = style.bold(SafeText.line("\(file.file):\(problem.line):\(problem.column):"))
                let kind = problem.severity == "warning" ? style.yellow("warning:") + " " : ""
                lines.append("\(place) \(kind)\(SafeText.line(problem.message))")
            }
        }
        let sum = "\(valid) valid, \(invalid) invalid"
        return lines + [invalid > 0 ? style.red(sum) : style.green(sum)]
    }
}

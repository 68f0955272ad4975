import ArgumentParser
import AuditLog
import ClientSupport
import ControlProtocol
import Glibc

/// `portcullis audit`
struct AuditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Looks at the log of who asked an agent or a relay for what.",
        subcommands: [AuditVerify.self])
}

struct AuditVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Says whether a log is as it was written, or which record is the first that is not.",
        discussion: """
            Without --public-key the signatures are compared with the key beside the log, which whoever can write there can replace; \
            --head finds out whether records at the end were cut off.
            """)

    @Argument(
        help: ArgumentHelp("Directory of the log; otherwise the agent's of this machine.", valueName: "directory"))
    var directory = "/var/lib/portcullis/gateway"
    @Option(
        help: ArgumentHelp("Key that has to have signed: what audit.pub said when the log began.", valueName: "hex"))
    var publicKey: String?
    @Option(
        help: ArgumentHelp("A record that has to be there, as an earlier run printed it.", valueName: "number:hash"))
    var head: String?
    @OptionGroup var output: OutputOptions

    /// What is said of a log that is whole.
    struct Answer: Encodable {
        var directory: String
        var first: UInt64
        var last: UInt64
        var head: String
        var signatures: Int
        var signed: UInt64
        var publicKey: String
    }

    func run() throws {
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else {
            let code = errno
            throw ToolFailure(
                "\(directory): \(String(cString: strerror(code)))", code: code == EACCES ? .notPermitted : .failure)
        }
        defer { close(descriptor) }
        let report: AuditVerifier.Report
        do {
            report = try AuditVerifier(directory: descriptor, publicKey: publicKey, head: try expectedHead()).verify()
        } catch let problem as AuditVerifier.Problem {
            throw ToolFailure("\(directory)/\(problem.description)")
        } catch let error as AuditError {
            throw ToolFailure("\(directory): \(error)")
        }
        let last = AuditWriter.Head(sequence: report.last, hash: report.hash)
        if output.json {
            return try StandardStreams.write(
                json: Answer(
                    directory: directory, first: report.first, last: report.last, head: last.description,
                    signatures: report.heads, signed: report.signed, publicKey: report.key))
        }
        try StandardStreams.write([
            "records \(report.first) to \(report.last) are as they were written",
            report.heads > 0
                ? "\(report.heads) signatures of \(report.key), the last behind record \(report.signed)"
                : "nothing is signed yet",
            "head \(last)",
        ])
    }

    private func expectedHead() throws -> AuditWriter.Head? {
        guard let head else { return nil }
        let parts = head.split(separator: ":")
        guard parts.count == 2, let number = UInt64(parts[0]), parts[1].utf8.count == 64 else {
            throw ToolFailure("--head must be NUMBER:HASH", code: .usage)
        }
        return AuditWriter.Head(sequence: number, hash: String(parts[1]))
    }
}

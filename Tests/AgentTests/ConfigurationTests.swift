import FileEnforcement
import Foundation
import PolicyModel
import Testing

@testable import Agent
@testable import AgentCore

@Suite("Configuration")
struct ConfigurationTests {
    private func read(_ text: String, mode: Int = 0o600) throws -> AgentSettings {
        let path = NSTemporaryDirectory() + "portcullis-config-\(UUID().uuidString).yaml"
        defer { unlink(path) }
        try text.write(toFile: path, atomically: false, encoding: .utf8)
        chmod(path, mode_t(mode))
        var settings = AgentSettings()
        do { try ConfigurationFile.read(path, into: &settings) } catch let error as ConfigurationError {
            // The test's path is not part of what is compared.
            throw ConfigurationError(text: error.text.replacingOccurrences(of: path, with: "FILE"))
        }
        return settings
    }

    @Test func kubeArmorsKeysAndOursAreUnderstood() throws {
        let settings = try read(
            """
            cluster: prod
            host: node-1
            hostDefaultFilePosture: block
            alertThrottling: false
            maxAlertPerSec: 99
            policies: [/etc/portcullis/policies]
            onFailure: [worker-lost=allow]
            staleFd: kill
            logPath: stdout
            """)
        #expect(settings.cluster == "prod" && settings.host == "node-1")
        #expect(settings.postures == Postures(file: .block))
        #expect(!settings.alertThrottling && settings.maxAlertPerSec == 99)
        #expect(settings.policyPaths == ["/etc/portcullis/policies"])
        #expect(settings.failures.allows(.workerLost))
        #expect(settings.killStaleDescriptors)
        #expect(settings.alertsPath == "-" && settings.daemonKeys)
    }

    @Test(arguments: [
        ("colour: red", "FILE:1:1: unknown key 'colour'"),
        (
            "host: a\nhostDefaultFilePosture: deny",
            "FILE:2:1: hostDefaultFilePosture must be allow, audit or block, not 'deny'"
        ),
        ("maxAlertPerSec: many", "FILE:1:1: maxAlertPerSec must be an integer between 1 and 1000000"),
        ("staleFd: ignore", "FILE:1:1: staleFd must be alert or kill, not 'ignore'"),
        ("- a", "FILE:1:1: the configuration must be a mapping"),
    ])
    func mistakesAreNamedWithTheirPlace(text: String, expected: String) {
        #expect { try read(text) } throws: { "\($0)" == expected }
    }

    @Test func usersAreNamedOrNumbered() throws {
        let path = NSTemporaryDirectory() + "portcullis-passwd-\(UUID().uuidString)"
        defer { unlink(path) }
        try "root:x:0:0:root:/root:/bin/sh\n_portcullis:x:991:990::/nonexistent:/bin/false\nshort:x:5\n"
            .write(toFile: path, atomically: false, encoding: .utf8)
        #expect(LocalUsers.id(of: "_portcullis", inFile: path) == 991)
        #expect(LocalUsers.id(of: "_port", inFile: path) == nil && LocalUsers.id(of: "short", inFile: path) == nil)
        #expect(try read("frontUser: 65530").frontUser == 65530)
        #expect {
            try read("frontUser: root")
        } throws: {
            "\($0)" == "FILE:1:1: frontUser must be a user in /etc/passwd, or an id, and not root: 'root'"
        }
        #expect { try read("gatewayUser: 0") } throws: {
            "\($0)" == "FILE:1:1: gatewayUser must be an integer between 1 and 4294967294"
        }
    }

    @Test func aFileThatOthersMayWriteIsRefused() {
        #expect { try read("host: a", mode: 0o666) } throws: {
            "\($0)" == "FILE: must belong to root and be writable by nobody else"
        }
    }

    @Test(arguments: [
        (["--deadline", "1"], "--deadline must be between 50 and 60000 milliseconds, not 1"),
        (["--front-user", "0"], "--front-user must not be root"),
        (["--stale-fd", "x"], "--stale-fd must be alert or kill, not 'x'"),
        (["--config", "/nonexistent/x"], "/nonexistent/x: No such file or directory"),
    ])
    func theCommandLineIsChecked(arguments: [String], expected: String) throws {
        let command = try DaemonCommand.parse(arguments)
        #expect { try command.settings() } throws: { "\($0)" == expected }
    }

    @Test func theCommandLineWinsOverDefaults() throws {
        let settings = try DaemonCommand.parse([
            "--policies", "/p", "--policies", "/q", "--alerts", "-", "--no-throttle", "--no-cache", "--file-posture",
            "block",
            "--on-failure", "deadline-expired=allow",
        ]).settings()
        #expect(settings.policyPaths == ["/p", "/q"])
        #expect(settings.alertsPath == "-")
        #expect(!settings.alertThrottling && !settings.cachesAllows)
        #expect(settings.postures.file == .block)
        #expect(settings.failures.allows(.deadlineExpired))
    }
}

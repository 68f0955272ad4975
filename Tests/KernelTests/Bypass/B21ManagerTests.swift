import Foundation
import Testing

extension KernelSuite {
    /// B21: what is started by somebody outside, on a tree's behalf, is not in the tree. So nobody is asked: not over a socket, not by a file of cron's.
    @Suite("B21 managers")
    struct B21ManagerTests {
        private static let victim = "/usr/bin/portcullis-victim"
        private static let network = AgentUnderTest.policy(network: "matchProtocols: [{protocol: tcp}]")
        /// Sockets that are served: managers', then one of nobody's whose name differs from the first's in one byte, so that no half of one is
        /// neither.
        private static let managers = [
            "/run/docker.sock", "/run/systemd/private", "/run/dbus/system_bus_socket", "/run/containerd/s/0a1b",
            "/run/user/1000/bus", "@containerd-shim/moby/0a1b/shim.sock",
        ]
        private static let others = "/run/docker.sack"
        private static let named = "/run/prot.sock"
        /// Managers of a user of whom nobody has heard.
        private static let unheard = ["/run/user/1001/bus", "/run/user/1001/systemd/private"]

        private let root: PrivateRoot
        private let server: Background

        init() throws {
            root = try PrivateRoot(
                hostName: "node", programs: ["bash", "ln", "mv", "setpriv", "mount", "unshare", "timeout"])
            for directory in [
                "/run/systemd", "/run/dbus", "/run/containerd/s", "/run/user/1000", "/run/user/1001/systemd", "/work",
                "/var/spool/cron/crontabs",
                "/etc/cron.d",
            ] {
                try FileManager.default.createDirectory(
                    atPath: root.mount + directory, withIntermediateDirectories: true)
            }
            server = try Background(
                root.enter + [Self.victim, "unix-serve"] + Self.managers + [Self.others, Self.named] + Self.unheard,
                folder: root.logDirectory)
            try #require(server.lines == ["ready"], "\(server.text)")
        }

        private func start(_ policy: String, _ options: [String] = []) throws -> AgentUnderTest {
            try AgentUnderTest(root, policies: ["p.yaml": policy], options: options)
        }

        private func connects(_ agent: AgentUnderTest, _ name: String, _ way: String = "plain") -> String {
            agent.tool("run", "--", Self.victim, "unix-connect", name, way).output
        }

        /// Expects so many alerts, the last of which is this one.
        private func expectAlert(
            _ agent: AgentUnderTest, _ number: Int, _ resource: String, policy: String = "SupervisedTree",
            data: String = "lsm=SOCKET_CONNECT", sourceLocation: SourceLocation = #_sourceLocation
        ) {
            let alerts = agent.alerts(atLeast: number)
            #expect(alerts.count == number, "\(alerts.map(\.fields))", sourceLocation: sourceLocation)
            guard let last = alerts.last else { return }
            #expect(last["PolicyName"] == policy, sourceLocation: sourceLocation)
            #expect(last["Message"] == (policy == "p" ? "found" : "manager-asked"), sourceLocation: sourceLocation)
            #expect(last["Operation"] == "File", sourceLocation: sourceLocation)
            #expect(last["Resource"] == resource, sourceLocation: sourceLocation)
            #expect(last["Data"] == data, sourceLocation: sourceLocation)
            #expect(last["Action"] == "Block", sourceLocation: sourceLocation)
            #expect(last["Result"] == "Permission denied", sourceLocation: sourceLocation)
            #expect(last["Enforcer"] == "seccomp", sourceLocation: sourceLocation)
        }

        // MARK: - Sockets

        /// No rule is about them; the control connects from outside of the tree.
        @Test(arguments: AgentMode.allCases) func b21NoManagerIsAsked(_ mode: AgentMode) throws {
            let agent = try start(Self.network, mode.options)
            var lines = ["ready"]
            for (index, name) in Self.managers.enumerated() {
                #expect(agent.victim("unix-connect", name, "plain").output == "ok user 0\n")
                lines.append("\(index) user 0")
                #expect(connects(agent, name, index == 1 ? "nonblocking" : "plain") == "errno 13 EACCES\n", "\(name)")
                expectAlert(agent, index + 1, name)
            }
            // Nobody else was there.
            #expect(server.lines == lines)
        }

        @Test func b21NeitherByAnotherName() throws {
            let agent = try start(Self.network)
            let manager = Self.managers[0]
            for (number, command) in [
                "ln -s \(manager) /work/s", "ln \(manager) /work/l", "ln -s / /work/r",
            ].enumerated() {
                #expect(agent.run(["bash", "-c", command]).status == 0)
                let name = ["/work/s", "/work/l", "/work/r/run/docker.sock"][number]
                #expect(connects(agent, name, "relative") == "errno 13 EACCES\n", "\(name)")
                expectAlert(agent, number + 1, number == 1 ? "/work/l" : manager)
            }
            // Renamed, and mounted elsewhere, by somebody outside.
            #expect(agent.run(["bash", "-c", "mv \(manager) /work/m"]).status == 0)
            #expect(connects(agent, "/work/m") == "errno 13 EACCES\n")
            expectAlert(agent, 4, "/work/m")
            let tool = "\(root.binaries)/portcullis run --socket \(agent.socket) -- \(Self.victim) unix-connect"
            let mounted = agent.run([
                "unshare", "-m", "bash", "-c", "mount --bind /run/systemd /work && \(tool) /work/private plain",
            ])
            #expect(mounted.output == "errno 13 EACCES\n", "\(mounted)")
            expectAlert(agent, 5, "/run/systemd/private")
            #expect(server.lines == ["ready"])
        }

        /// The first thing that happens: nobody has looked at it before.
        @Test(arguments: [network, AgentUnderTest.policy(file: "matchPaths: [{path: \(named)}]")])
        func b21NorGivenAnotherName(_ policy: String) throws {
            let agent = try start(policy)
            let bus = Self.unheard[0]
            for (number, attempt) in [
                ("mv \(bus) /run/user/1001/b", bus, "FILE_RENAME"), ("ln \(bus) /run/user/1001/l", bus, "FILE_LINK"),
                ("mv /run/user/1001/systemd /run/user/1001/s", "/run/user/1001/systemd", "FILE_RENAME"),
                ("mv /run/user /run/u", "/run/user", "FILE_RENAME"),
            ].enumerated() {
                let result = agent.tool("run", "--", "bash", "-c", attempt.0)
                #expect(result.status != 0 && result.error.contains("Permission denied"), "\(result)")
                expectAlert(agent, number + 1, attempt.1, data: "lsm=" + attempt.2)
            }
            #expect(connects(agent, bus) == "errno 13 EACCES\n")
            expectAlert(agent, 5, bus)
            // What leads to nobody is moved.
            #expect(agent.tool("run", "--", "bash", "-c", "ln /run/docker.sack /work/l; mv /work /w").status == 0)
            #expect(connects(agent, "/w/l") == "ok user 0\n")
            #expect(agent.alerts().count == 5)
            #expect(server.lines == ["ready", "6 user 0"])
        }

        /// Nobody takes the connections: it is refused, given up, interrupted or made as it is without us.
        @Test func aFullQueueIsWaitedFor() throws {
            let agent = try start(Self.network)
            #expect(agent.victim("unix-full", "/work/plain").output == "11 11 4 0\n")
            #expect(agent.tool("run", "--", Self.victim, "unix-full", "/work/tree").output == "11 11 4 0\n")
            #expect(agent.alerts().isEmpty)
        }

        /// With the caller's own user on the other end, whoever performs the call.
        @Test func everybodyElseIsConnectedTo() throws {
            let agent = try start(Self.network)
            #expect(connects(agent, Self.others) == "ok user 0\n")
            #expect(connects(agent, Self.others, "relative") == "ok user 0\n")
            #expect(connects(agent, "/run/none") == "errno 2 ENOENT\n")
            #expect(connects(agent, "/etc/hosts") == "errno 111 ECONNREFUSED\n")
            let asUser = agent.tool([
                "run", "--", "setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", Self.victim, "unix-connect",
                Self.others, "plain",
            ])
            #expect(asUser.output == "ok user 1000\n", "\(asUser)")
            chmod(root.mount + Self.others, 0o600)
            let without = agent.tool([
                "run", "--", "setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", Self.victim, "unix-connect",
                Self.others, "plain",
            ])
            #expect(without.output == "errno 13 EACCES\n", "\(without)")
            #expect(agent.alerts().isEmpty)
            #expect(server.lines == ["ready", "6 user 0", "6 user 0", "6 user 1000"])
        }

        @Test(arguments: AgentMode.allCases) func b21AFileRuleHoldsASocket(_ mode: AgentMode) throws {
            let agent = try start(AgentUnderTest.policy(file: "matchPaths: [{path: \(Self.named)}]"), mode.options)
            #expect(connects(agent, Self.named) == "errno 13 EACCES\n")
            expectAlert(agent, 1, Self.named, policy: "p")
            #expect(connects(agent, Self.others) == "ok user 0\n")
            #expect(server.lines == ["ready", "6 user 0"])
        }

        /// Whoever reaches the agent can take its policies away.
        @Test func b21TheAgentIsNotAsked() throws {
            let agent = try start(Self.network)
            let result = agent.tool(["run", "--", "/usr/bin/portcullis", "status", "--socket", agent.socket])
            #expect(result.output == "" && result.error == "portcullis: \(agent.socket): Permission denied\n")
            expectAlert(agent, 1, agent.socket)
            #expect(connects(agent, agent.runtimeSocket) == "errno 13 EACCES\n")
            expectAlert(agent, 2, agent.runtimeSocket)
        }

        @Test func anOperatorLetsTreesAskManagers() throws {
            let agent = try start(Self.network, ["--on-failure", "manager-asked=allow"])
            for name in Self.managers { #expect(connects(agent, name) == "ok user 0\n") }
            #expect(agent.alerts().isEmpty)
        }

        /// The name lies in memory that another thread changes.
        @Test func b23ANameThatChangesMeanwhileReachesNoManager() throws {
            let agent = try start(Self.network)
            let names = [Self.others, Self.managers[0]]
            func race(_ command: [String]) throws -> [Int] {
                let result = agent.run(["timeout", "600"] + command)
                let words = result.output.split(whereSeparator: \.isWhitespace).map(String.init)
                try #require(words.count == 8, "\(result)")
                return stride(from: 1, to: 8, by: 2).map { Int(words[$0]) ?? -1 }
            }
            func reached() -> Int { server.lines.count { $0.hasPrefix("0 ") } }
            var (controlRounds, controlWon) = (0, 0)
            while controlWon == 0, controlRounds < 400_000 {
                controlWon += try race([Self.victim, "race-connect-control"] + names + ["20000"])[1]
                controlRounds += 20_000
            }
            #expect(controlWon > 0)
            AgentUnderTest.wait { reached() == controlWon }
            let rounds = Effort.times(20_000)
            let tree = ["/usr/bin/portcullis", "run", "--socket", agent.socket, "--"]
            let race = try race(tree + [Self.victim, "race-connect"] + names + ["\(rounds)"])
            #expect(race[1] == 0 && reached() == controlWon, "\(race)")
            // Both were met, and nothing else.
            #expect(race[0] > 0 && race[2] > 0 && race[3] == 0, "\(race)")
            try RaceFigures(
                name: "connect", rounds: rounds, won: race[1], controlRounds: controlRounds, controlWon: controlWon
            ).record()
        }

        // MARK: - Files

        /// A rule is about another file: whoever's changes are performed leaves what cron reads alone.
        @Test(arguments: AgentMode.allCases) func b21NothingIsLeftForCron(_ mode: AgentMode) throws {
            let agent = try start(AgentUnderTest.policy(file: "matchPaths: [{path: \(Self.named)}]"), mode.options)
            try root.write("/etc/crontab", "before\n")
            try root.write("/work/job", "job\n")
            let job = "/var/spool/cron/crontabs/root"
            let attempts: [(command: String, resource: String, data: String)] = [
                ("echo x > \(job)", job, "FILE_OPEN"), ("echo x >> /etc/crontab", "/etc/crontab", "FILE_OPEN"),
                ("mv /work/job /etc/cron.d/job", "/etc/cron.d/job", "FILE_RENAME"),
                ("ln /work/job \(job)", job, "FILE_LINK"), ("ln -s /work/job \(job)", job, "FILE_SYMLINK"),
                ("mv /var/spool /work/spool", "/var/spool", "FILE_RENAME"),
                ("ln /etc/crontab /work/c", "/etc/crontab", "FILE_LINK"),
            ]
            for (number, attempt) in attempts.enumerated() {
                let result = agent.tool("run", "--", "bash", "-c", attempt.command)
                #expect(result.status != 0 && result.error.contains("Permission denied"), "\(result)")
                expectAlert(agent, number + 1, attempt.resource, data: "lsm=" + attempt.data)
            }
            #expect(root.text("/etc/crontab") == "before\n" && root.text(job) == nil)
            #expect(root.text("/etc/cron.d/job") == nil && root.text("/work/job") == "job\n")
            // Elsewhere nothing is in the way, and nobody outside is held.
            #expect(agent.tool("run", "--", "bash", "-c", "echo x > /var/spool/x; mv /work/job /work/j").status == 0)
            #expect(agent.run(["bash", "-c", "echo x > \(job)"]).status == 0)
            #expect(agent.alerts().count == attempts.count)
        }
    }
}

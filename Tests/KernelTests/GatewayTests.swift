import Foundation
import Testing

extension KernelSuite {
    /// The gateway of a running agent, asked by a client that knows KubeArmor only.
    @Suite("Gateway")
    struct GatewayTests {
        /// Starts an agent that listens on a unix socket in its run directory.
        private func start(
            _ policies: [String: String], options: [String] = []
        ) throws -> (Scratch, AgentUnderTest, address: String) {
            let scratch = try Scratch()
            let socket = scratch.agentDirectory + "/run/grpc.sock"
            let agent = try AgentUnderTest(scratch, policies: policies, options: ["--grpc-socket", socket] + options)
            try waitForGateway(agent)
            return (scratch, agent, "unix:" + socket)
        }

        private func waitForGateway(_ agent: AgentUnderTest) throws {
            let end = Date().addingTimeInterval(90)
            while gateway(of: agent) == nil {
                if Date() > end { throw ScratchError(text: "no gateway: \(agent.log)") }
                AgentUnderTest.pause()
            }
        }

        /// The process id of an agent's gateway.
        private func gateway(of agent: AgentUnderTest) -> Int32? {
            let children = try? String(
                contentsOfFile: "/proc/\(agent.pid)/task/\(agent.pid)/children", encoding: .utf8)
            return (children ?? "").split(separator: " ").compactMap { Int32($0) }.first {
                let name = try? String(contentsOfFile: "/proc/\($0)/comm", encoding: .utf8)
                return name == "portcullis-gate\n"
            }
        }

        private func secretIsDenied(_ agent: AgentUnderTest, _ scratch: Scratch) {
            let result = agent.victim("read", scratch.path("prot/secret"))
            #expect(result.output.contains("EPERM"), "\(result)")
        }

        @Test func aForeignClientReadsEveryFieldOfAnAlert() throws {
            let (scratch, agent, address) = try start([
                "files.yaml": AgentUnderTest.policy("files", file: AgentUnderTest.protectedTree),
                "programs.yaml": AgentUnderTest.policy(
                    "programs", process: "matchPaths: [{path: @/bin/denied}]", action: "Audit"),
            ])
            #expect(ForeignClient.ask([address, "health", "4711"])["Retval"] as? Int == 4711)
            let client = try ForeignClient([address, "watch", "alerts", "2"], folder: scratch.outside)
            secretIsDenied(agent, scratch)
            _ = agent.run([scratch.path("bin/denied"), scratch.path("work/marker")])
            #expect(scratch.text("work/marker") != nil)
            let records = client.records()
            let alerts = agent.alerts(atLeast: 2)
            #expect(records.count == 2 && alerts.count == 2, "\(records) \(alerts.map(\.fields))")
            for (record, alert) in zip(records, alerts) { expectEqual(record, alert.fields) }
            #expect(records.first?["Type"] as? String == "MatchedHostPolicy")
            #expect(records.first?["Result"] as? String == "Permission denied")
            #expect(records.first?["EventData"] as? [String: String] == ["Lsm": "FILE_OPEN"])
            #expect(records.last?["Operation"] as? String == "Process")
            #expect(records.last?["Action"] as? String == "Audit")
        }

        /// What the client printed has the fields of the alerts file, each with its value, and no other.
        private func expectEqual(_ record: [String: Any], _ alert: [String: Any]) {
            // Ours, which the client's proto does not know; and the two that only JSON prints when they are 0.
            let ours: Set<String> = ["PolicyGeneration", "MatchedByObject", "ResourceAlias"]
            var expected = alert.filter { !ours.contains($0.key) }
            for name in ["PPID", "UID"] where expected[name] as? Int == 0 { expected[name] = nil }
            #expect(Set(record.keys) == Set(expected.keys))
            for (name, value) in expected {
                let got = record[name].map { "\($0)" } ?? "nothing"
                // int64 is a string in proto-JSON.
                if let object = value as? [String: String] {
                    #expect(record[name] as? [String: String] == object, "\(name)")
                } else if let list = value as? [String] {
                    #expect(record[name] as? [String] == list, "\(name)")
                } else {
                    #expect(got == "\(value)", "\(name)")
                }
            }
        }

        @Test func filtersOfAnotherStreamGiveNothing() throws {
            let (scratch, agent, address) = try start([
                "p.yaml": AgentUnderTest.policy(file: AgentUnderTest.protectedTree)
            ])
            let wrong = try ForeignClient([address, "watch", "alerts", "1", "system"], folder: scratch.outside)
            #expect(wrong.records().isEmpty)
            let all = try ForeignClient([address, "watch", "alerts", "1", "all"], folder: scratch.outside)
            secretIsDenied(agent, scratch)
            #expect(all.records().count == 1)
        }

        private func event(_ type: String, _ name: String, path: String, selector: String = "nodeSelector") -> String {
            let labels = selector == "nodeSelector" ? ["kubearmor.io/hostname": "*"] : ["app": "web"]
            // As karmor sends it: what was not written is there all the same.
            let object: [String: Any] = [
                "metadata": ["name": name, "creationTimestamp": NSNull()],
                "spec": [
                    selector: ["matchLabels": labels], "process": [:], "network": [:], "capabilities": [:],
                    "syscalls": [:], "file": ["matchPaths": [["path": path]]], "severity": 7, "message": "pushed",
                    "tags": ["grpc"], "action": "Block",
                ], "status": [:],
            ]
            let data = try? JSONSerialization.data(withJSONObject: ["type": type, "object": object])
            return String(decoding: data ?? Data(), as: UTF8.self)
        }

        private func push(_ address: String, _ event: String, _ service: String = "host") -> String? {
            let answer = ForeignClient.ask([address, "policy", service], input: event)
            return answer["status"] as? String ?? "\(answer)"
        }

        @Test func aForeignClientPushesPoliciesThatHold() throws {
            let (scratch, agent, address) = try start([:])
            let path = scratch.path("prot/secret")
            #expect(agent.victim("read", path).output.contains("SECRET"))
            #expect(push(address, event("ADDED", "pushed", path: path)) == "Applied")
            let client = try ForeignClient([address, "watch", "alerts", "1"], folder: scratch.outside)
            secretIsDenied(agent, scratch)
            let records = client.records()
            #expect(records.count == 1 && records.first?["PolicyName"] as? String == "pushed")
            #expect(records.first?["Message"] as? String == "pushed" && records.first?["Severity"] as? String == "7")
            #expect(push(address, event("ADDED", "pushed", path: path)) == "Applied", "the same again")
            #expect(push(address, event("ADDED", "pushed", path: scratch.path("prot/sub/deep"))) == "Modified")
            #expect(agent.victim("read", path).output.contains("SECRET"))
            #expect(push(address, event("DELETED", "pushed", path: path)) == "Deleted")
            #expect(push(address, event("DELETED", "pushed", path: path)) == "NotExist")
            #expect(agent.alerts().count == 1)
        }

        @Test func eventsThatMeanNothingChangeNothing() throws {
            let (scratch, agent, address) = try start([
                "p.yaml": AgentUnderTest.policy(file: AgentUnderTest.protectedTree)
            ])
            let path = scratch.path("work/plain")
            for text in [
                "", "{", "[]", "{\"type\":\"ADDED\"}", event("ADDED", "", path: path),
                event("REMOVED", "x", path: path),
                event("ADDED", "x", path: "relative"), event("ADDED", "../../x", path: path),
                event("ADDED", "x", path: path).replacingOccurrences(of: "matchPaths", with: "matchPath"),
                String(repeating: "[", count: 100_000),
            ] { #expect(push(address, text) == "Invalid", "\(text.prefix(200))") }
            #expect(
                push(address, event("ADDED", "x", path: path), "network") == "NotEnabled", "the packet filter is off")
            #expect(push(address, event("ADDED", "x", path: path, selector: "selector"), "container") == "Applied")
            #expect(push(address, event("DELETED", "p", path: path)) == "Failure", "what a file says stays")
            secretIsDenied(agent, scratch)
            #expect(agent.tool("get", "policies").output.components(separatedBy: "\n").count == 4)
        }

        @Test func aForeignClientReadsProbeData() throws {
            let (scratch, agent, address) = try start([
                "p.yaml": AgentUnderTest.policy(file: AgentUnderTest.protectedTree)
            ])
            #expect(push(address, event("ADDED", "pushed", path: scratch.path("work/plain"))) == "Applied")
            let hosts = try #require(ForeignClient.ask([address, "probe"])["hostMap"] as? [String: Any])
            #expect(hosts.count == 1)
            let host = try #require(hosts.values.first as? [String: Any])
            #expect(host["policyList"] as? [String] == ["p", "pushed"])
            let policies = try #require(host["policyDataList"] as? [[String: Any]])
            let metadata = policies.map { $0["metadata"] as? [String: String] }
            #expect(metadata.map { $0?["policyName"] } == ["p", "pushed"])
            let spec = try #require(policies.last?["spec"] as? [String: Any])
            let file = try #require(spec["file"] as? [String: [[String: Any]]])
            #expect(file["matchPaths"]?.first?["path"] as? String == scratch.path("work/plain"))
            #expect(spec["action"] as? String == "Block")
            _ = agent
        }

        /// What the agent says of itself is the third stream.
        @Test func messagesTellOfTheAgent() throws {
            let (scratch, agent, address) = try start([:])
            let client = try ForeignClient([address, "watch", "messages", "1"], folder: scratch.outside)
            #expect(push(address, event("ADDED", "pushed", path: scratch.path("prot/secret"))) == "Applied")
            let record = try #require(client.records().first)
            #expect(
                Set(record.keys).isSuperset(of: [
                    "Timestamp", "UpdatedTime", "ClusterName", "HostName", "Level", "Message",
                ]))
            #expect(agent.log.contains(record["Message"] as? String ?? "nothing"))
        }

        /// The gateway may die at any moment: files stay protected, alerts go to their file, and a new one goes on.
        @Test func enforcementDoesNotNeedTheGateway() throws {
            let (scratch, agent, address) = try start([
                "p.yaml": AgentUnderTest.policy(file: AgentUnderTest.protectedTree)
            ])
            let first = try #require(gateway(of: agent))
            #expect(kill(first, SIGKILL) == 0)
            for _ in 0..<5 { secretIsDenied(agent, scratch) }
            #expect(agent.alerts(atLeast: 5).count == 5)
            let end = Date().addingTimeInterval(90)
            while gateway(of: agent) == nil || gateway(of: agent) == first, Date() < end { AgentUnderTest.pause() }
            let second = try #require(gateway(of: agent))
            #expect(second != first)
            let client = try ForeignClient([address, "watch", "alerts", "1"], folder: scratch.outside)
            secretIsDenied(agent, scratch)
            #expect(client.records().count == 1)
            #expect(agent.log.contains("the gateway has ended"))
        }

        /// A front that dies takes no records with it that were written, and clients of the gateway notice nothing.
        @Test func aStreamGoesOnWhenTheFrontIsReplaced() throws {
            let (scratch, agent, address) = try start([
                "p.yaml": AgentUnderTest.policy(file: AgentUnderTest.protectedTree)
            ])
            let client = try ForeignClient([address, "watch", "alerts", "2"], folder: scratch.outside)
            secretIsDenied(agent, scratch)
            _ = agent.alerts(atLeast: 1)
            let front = try #require(agent.pid(of: "front"))
            #expect(kill(front, SIGKILL) == 0)
            let end = Date().addingTimeInterval(90)
            while agent.pid(of: "front") == front, Date() < end { AgentUnderTest.pause() }
            secretIsDenied(agent, scratch)
            #expect(client.records().count == 2)
        }

        @Test func theGatewayHasNoRights() throws {
            let (_, agent, address) = try start([:])
            // Whoever answers has finished giving up what it had.
            #expect(ForeignClient.ask([address, "health", "1"])["Retval"] as? Int == 1)
            let pid = try #require(gateway(of: agent))
            let lines = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
                .split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
            for line in [
                "Uid:\t65533\t65533\t65533\t65533", "Gid:\t65533\t65533\t65533\t65533", "Groups:",
                "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1",
                "Seccomp:\t2",
            ] { #expect(lines.contains(line), "\(line) in \(lines)") }
            // Nothing is listening but the unix socket.
            let sockets = Shell.run("ss", "-tlnpH").output
            #expect(!sockets.contains("pid=\(pid),"), "\(sockets)")
        }

        /// What is asked for is in a log whose records cannot be changed unnoticed; who asked is the kernel's word.
        @Test func theAuditLogHasWhatWasAskedFor() throws {
            let (scratch, agent, address) = try start(
                ["p.yaml": AgentUnderTest.policy(file: AgentUnderTest.protectedTree)])
            let folder = scratch.agentDirectory + "/state/gateway"
            let policy = scratch.outside + "/new.yaml"
            try AgentUnderTest.policy("new", file: "matchPaths: [{path: \(scratch.path("work/plain"))}]").write(
                toFile: policy, atomically: true, encoding: .utf8)
            let applied = agent.tool("apply", "--server", address, "-f", policy)
            #expect(applied.status == 0, "\(applied)")
            #expect(agent.tool("get", "policies", "--server", address).status == 0)
            agent.stop()
            let file = try #require(
                FileManager.default.contentsOfDirectory(atPath: folder).first { $0.hasSuffix(".jsonl") })
            let text = try String(contentsOfFile: folder + "/" + file, encoding: .utf8)
            let records = text.split(separator: "\n").compactMap {
                try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
            }
            let apply = records.filter { $0["method"] as? String == "portcullis.v1.Control/ApplyPolicies" }
            #expect(apply.map { $0["kind"] as? String } == ["request", "outcome"], "\(records)")
            #expect(apply.allSatisfy { $0["peer"] as? String == "uid:0" })
            #expect((apply.first?["object"] as? String)?.contains("new.yaml sha256:") == true, "\(apply)")
            #expect(apply.last?["outcome"] as? String == "ok")
            #expect(apply.first?["request"] as? String == apply.last?["request"] as? String)
            let whole = Shell.run(agent.place.binaries + "/portcullis", "audit", "verify", folder)
            #expect(whole.status == 0 && whole.output.contains("are as they were written"), "\(whole)")
            // One digit of one record.
            let number = try #require(apply.first?["seq"] as? Int)
            let changed = text.split(separator: "\n", omittingEmptySubsequences: false).map {
                $0.hasPrefix("{\"seq\":\(number),") ? $0.replacingOccurrences(of: "uid:0", with: "uid:1") : String($0)
            }
            try changed.joined(separator: "\n").write(toFile: folder + "/" + file, atomically: true, encoding: .utf8)
            let broken = Shell.run(agent.place.binaries + "/portcullis", "audit", "verify", folder)
            #expect(broken.status == 1 && broken.error.contains("record \(number) was changed"), "\(broken)")
        }

        @Test func otherUsersAreNotLetIn() throws {
            let (scratch, agent, address) = try start(
                ["p.yaml": AgentUnderTest.policy(file: AgentUnderTest.protectedTree)],
                options: ["--grpc-group", "61234"])
            // The group opens the socket; only users who are named may ask.
            let socket = String(address.dropFirst("unix:".count))
            let outcome = Shell.run(
                "setpriv", "--reuid=61235", "--regid=61234", "--clear-groups", "curl", "-s", "-o", "/dev/null", "-w",
                "%{http_code}", "--http2-prior-knowledge", "--unix-socket", socket, "http://localhost/x", "-m", "5")
            #expect(outcome.output == "000", "\(outcome)")
            let permitted = Shell.run(
                "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--http2-prior-knowledge", "--unix-socket",
                socket,
                "http://localhost/x", "-m", "5")
            #expect(permitted.output != "000", "\(permitted)")
            secretIsDenied(agent, scratch)
        }
    }
}

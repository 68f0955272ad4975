import Foundation
import RPCTransport
import Testing

@testable import RelayService

/// The page in a real browser, driven by `integration/web-page`, which leaves screenshots. Run by `make test-web`.
@Suite(.timeLimit(.minutes(10))) struct PageTests {
    @Test("threat/T38 what agents tell is only ever text") func thePageInABrowser() async throws {
        let folder = try TestFolder()
        let agents = try ["node1", "node2", "node3"].map {
            try TestAgent($0, folder.texts(.agent, $0), folder: folder.path)
        }
        _ = try folder.texts(.cli, "ann")
        let relay = try TestRelay(folder) {
            $0.agents = agents.map { AgentEndpoint(host: "127.0.0.1", port: $0.port, names: [$0.name]) }
            // One that is not there.
            $0.agents.append(AgentEndpoint(host: "127.0.0.1", port: 1, names: ["node4"]))
            $0.web.listen = "127.0.0.1:0"
        }
        let port = try await relay.webPort()
        for round in 0..<12 {
            agents[0].alert(["/etc/shadow", "/etc/ssh/ssh_host_ed25519_key"], policy: "protect-credentials")
            agents[1].alert(
                (0...(round % 5)).map { "/var/lib/app/state-\($0).db" }, policy: "watch-state", action: "Audit")
            agents[2].alert(["/usr/bin/curl"], policy: "no-downloads")
        }
        agents[2].alert(
            [
                "<img src=x onerror=\"window.pwned=1\">", "\"><script>window.pwned=2</script>",
                "javascript:window.pwned=3",
                "<svg onload=window.pwned=4>", "\u{202E}gnp.exe", "\u{1B}[2J\u{1B}]0;title\u{7}",
            ], policy: "</span><script>window.pwned=5</script>")
        try await relay.wait { $0.filter(\.isConnected).count == 3 }
        _ = try await relay.alerts(75)
        let output = FileManager.default.currentDirectoryPath + "/out/web-page"
        try? FileManager.default.removeItem(atPath: output)
        try FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: true)
        let burst = Task {
            // Asked for by files: a burst that is too much for a page, and alerts while the page is away.
            for (name, count) in [("burst", 600), ("away", 25)] {
                while !FileManager.default.fileExists(atPath: output + "/" + name) {
                    try await Task.sleep(for: .milliseconds(50))
                }
                agents[0].alert((1...count).map { "/\(name)/\($0)" }, policy: name)
            }
        }
        let text = try await WebClient.run([
            "bash", "-c", "exec integration/web-page \"$@\" 2>&1", "-", "https://localhost:\(port)",
            folder.authority.path + "/cli-ann", output,
        ])
        burst.cancel()
        #expect(text.hasSuffix("page: ok\n"), "\(text)")
        await relay.stop()
    }
}

import Foundation
import Telemetry
import Testing

/// Compares every kind of record, in every encoding, with the files in `Golden`. `RECORD_SNAPSHOTS=1` writes them anew and
/// fails the run, so that nobody records by accident.
@Suite struct GoldenTests {
    @Test(arguments: [(AlertEncoding.camelCase, "camelCase.jsonl"), (.daemon, "daemon.jsonl"), (.text, "text.txt")])
    func everyRecordIsAsRecorded(encoding: AlertEncoding, file: String) throws {
        let encoder = AlertEncoder(encoding)
        let got = Samples.all.map { String(decoding: encoder.encode($0.alert), as: UTF8.self) + "\n" }.joined()
        let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Golden/\(file)")
        if ProcessInfo.processInfo.environment["RECORD_SNAPSHOTS"] == "1" {
            try Data(got.utf8).write(to: url)
            Issue.record("recorded \(file); run again without RECORD_SNAPSHOTS")
            return
        }
        let expected = String(decoding: try Data(contentsOf: url), as: UTF8.self)
        let gotLines = got.split(separator: "\n")
        let expectedLines = expected.split(separator: "\n")
        #expect(gotLines.count == expectedLines.count)
        for (number, pair) in zip(gotLines, expectedLines).enumerated() {
            #expect(pair.0 == pair.1, "line \(number + 1)")
        }
        #expect(got == expected)
    }

    @Test(arguments: [AlertEncoding.camelCase, .daemon])
    func everyRecordIsOneObjectOnOneLine(encoding: AlertEncoding) throws {
        for (name, alert) in Samples.all {
            let line = AlertEncoder(encoding).encode(alert)
            #expect(!line.contains(UInt8(ascii: "\n")), "\(name)")
            let object = try JSONSerialization.jsonObject(with: Data(line))
            #expect(object is [String: Any], "\(name)")
        }
    }

    /// The example of a host process block in the compatibility notes, key by key and in order.
    @Test func fieldOrderIsUpstreams() {
        let line = String(decoding: AlertEncoder().encode(Samples.all[6].alert), as: UTF8.self)
        let keys = [
            "Timestamp", "UpdatedTime", "ClusterName", "HostName", "NamespaceName", "Owner", "PodName", "Labels",
            "ContainerID", "ContainerName", "ContainerImage", "HostPPID", "HostPID", "PPID", "PID", "UID",
            "ParentProcessName", "ProcessName", "PolicyName", "Severity", "Type", "Source", "Operation", "Resource",
            "Data", "EventData", "Enforcer", "Action", "Result", "Cwd", "TTY", "ExecEvent", "KubeArmorVersion",
        ]
        var rest = line[...]
        for key in keys {
            guard let range = rest.range(of: "\"\(key)\":") else {
                Issue.record("\(key) is missing or out of order in \(line)")
                return
            }
            rest = rest[range.upperBound...]
        }
    }
}

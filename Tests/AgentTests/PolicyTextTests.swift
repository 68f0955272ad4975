import Foundation
import PolicyLoading
import PolicyModel
import Testing

@testable import Agent

@Suite struct PolicyTextTests {
    /// What is written out loads to the rules it was made of, for every published policy.
    @Test func everyPublishedPolicySurvives() throws {
        let folder = try #require(PublishedPolicies.folder)
        var count = 0
        for name in try FileManager.default.contentsOfDirectory(atPath: folder).sorted() where name.hasSuffix(".yaml") {
            let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: folder + "/" + name)))
            for policy in PolicyDocumentLoader().load(bytes: bytes, file: name).policies {
                let spec = String(decoding: try JSONEncoder().encode(PolicyText.spec(policy)), as: UTF8.self)
                let metadata = policy.namespace.map { "{\"name\":\"\(policy.name)\",\"namespace\":\"\($0)\"}" }
                let text =
                    "{\"apiVersion\":\"security.kubearmor.com/v1\",\"kind\":\"\(policy.kind.rawValue)\",\"metadata\":"
                    + (metadata ?? "{\"name\":\"\(policy.name)\"}") + ",\"spec\":\(spec)}"
                let again = PolicyDocumentLoader().load(bytes: Array(text.utf8), file: name)
                #expect(again.isValid, "\(name): \(again.diagnostics) in \(text)")
                guard let second = again.policies.first else { continue }
                #expect(Comparable(second) == Comparable(policy), "\(name)")
                count += 1
            }
        }
        #expect(count > 70)
    }

    /// A policy without the places where its rules are written, and without the order of its sections.
    private struct Comparable: Equatable {
        let text: [String]

        init(_ policy: Policy) {
            let rules: [Any] =
                policy.process + policy.file + policy.protocols + policy.dns + policy.capabilities + policy.syscalls
                + policy.ingress + policy.egress + policy.presets
            text =
                rules.map { rule in
                    Mirror(reflecting: rule).children.filter { $0.label != "position" }
                        .map { "\($0.label ?? ""): \($0.value)" }.joined(separator: ", ")
                }.sorted() + ["\(policy.selector)", "\(policy.attributes)", policy.level]
        }
    }
}

/// KubeArmor's published policies.
enum PublishedPolicies {
    static let folder: String? = {
        let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
        let shared = ProcessInfo.processInfo.environment["PORTCULLIS_SHARED"] ?? package + "/../shared"
        let folder = shared + "/compat/policies"
        return FileManager.default.fileExists(atPath: folder) ? folder : nil
    }()
}

import PolicyModel
import Testing

@testable import PolicyLoading

/// Every policy that KubeArmor has published loads, but for those whose mistakes are listed here and in docs/compatibility.md.
@Suite("Published policies")
struct PublishedFilesTests {
    /// End of the file name, and the first problem: `line:column: message`.
    static let refused: [(file: String, problem: String)] = [
        ("django__system__ksp-django-hardening-rule-audit-settings-file.yaml", "15:19: not YAML: a tab"),
        ("nist-si-3-8-malicious-code-protection-detect-unauthorised-command.yaml", "not YAML: a tab"),
        ("ksp-python-hardening-rule-audit-ipaddress-package.yaml", "9:22: not YAML: a tab"),
        ("ksp-python-hardening-rule-audit-url-lib.yaml", "9:22: not YAML: a tab"),
        ("ksp-redis-hardening-rule-audit-xautoclaim-command.yaml", "9:22: not YAML: a tab"),
        ("hsp-cve-2024-3094-xz-v5-6-backdoor.yaml", "21:7: unknown field 'path' in spec.file.matchPatterns[0]"),
        ("ksp-cve-2021-41277-metabase-file-inclusion.yaml", "16:3: the key 'file' is given more than once"),
        ("hsp-nist-ac-6-9-auditing-use-of-privileged-functions.yaml", "97:3: the key 'action' is given more than once"),
        ("ksp-block-virus-eduapps-sexo.yaml", "17:5: unknown field 'process' in spec.selector"),
    ]
    /// Kinds of files that share a mistake: part of the name, the problem, how many.
    static let groups: [(part: String, problem: String, count: Int)] = [
        ("ksp-block-mariadb-", "14:5: unknown field 'app' in spec.selector", 8),
        ("stigs__system__hsp-", "10:3: spec.nodeSelector is required", 16),
    ]

    private func load(_ folder: String) -> [(file: String, result: LoadResult)] {
        PolicyFileReader.files(at: "\(PublishedFiles.shared)/compat/\(folder)").map { ($0, PolicyFileReader.load($0)) }
    }

    @Test func allTestPoliciesLoad() {
        let files = load("policies")
        #expect(files.count == 85)
        for (file, result) in files {
            #expect(result.isValid && !result.policies.isEmpty, "\(file): \(result.diagnostics)")
        }
    }

    @Test func theCorpusLoadsButForKnownMistakes() {
        let files = load("corpus")
        #expect(files.count == 344)
        var inGroups = [Int](repeating: 0, count: Self.groups.count)
        var named = 0
        for (file, result) in files where !result.isValid {
            let problem = result.diagnostics.first.map { String($0.description.dropFirst(file.count + 1)) } ?? ""
            if let known = Self.refused.first(where: { file.hasSuffix($0.file) }) {
                named += 1
                #expect(problem.contains(known.problem), "\(file): \(problem)")
            } else if let group = Self.groups.firstIndex(where: { file.contains($0.part) }) {
                inGroups[group] += 1
                #expect(problem.hasPrefix(Self.groups[group].problem), "\(file): \(problem)")
            } else {
                Issue.record("\(file) is refused: \(problem)")
            }
            #expect(result.policies.isEmpty)
        }
        #expect(named == Self.refused.count)
        #expect(inGroups == Self.groups.map(\.count))
    }
}

import Foundation
import Testing

/// What the rest of KubeArmor's published policies does to a tree, and which of them cannot be shown so.
extension KernelSuite.PublishedTreePolicyTests {
    private static let prefix = "tests__k8s_env__"
    private static let victim = "/usr/bin/portcullis-victim"
    private static let refused = "Operation not permitted"
    private static let asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

    private static func blocksProgram(_ file: String, _ policy: String, _ program: String) -> Scenario {
        Scenario(
            file: file, words: ["bash", "-c", "\(program) --version; exit 3"], output: "", error: refused, status: 3,
            alert: (policy, "Process", "/usr/bin/\(program) --version", "/usr/bin/\(program)", "Block"))
    }

    private static func blocksRead(_ file: String, _ policy: String, _ path: String, by words: [String] = [])
        -> Scenario
    {
        Scenario(
            file: file, words: words + ["cat", path], output: "", error: refused, status: nil,
            alert: (policy, "File", path, "/usr/bin/cat", "Block"))
    }

    private static func reads(_ file: String, _ program: String, _ path: String, _ text: String) -> Scenario {
        Scenario(file: file, words: [program, path], output: text)
    }

    /// TCP for curl only, under the posture block; some list files as well, which is not what this is about.
    private static func listsTCP(_ file: String) -> [Scenario] {
        let options = ["--network-posture", "block", "--file-posture", "allow"]
        return [
            Scenario(
                file: file, words: [victim, "socket", "2", "1", "0"], output: "errno 13 EACCES\n", status: nil,
                alert: ("DefaultPosture", "Network", "protocol=TCP type=SOCK_STREAM", victim, "Block"), options: options
            ),
            Scenario(
                file: file, words: ["/usr/bin/curl", "socket", "2", "1", "0"], output: "ok\n", options: options),
        ]
    }

    private static func refusesRaw(_ file: String, _ policy: String) -> Scenario {
        Scenario(
            file: file, words: [victim, "socket", "2", "3", "1"], output: "errno 13 EACCES\n", status: nil,
            alert: (policy, "Network", "protocol=ICMP type=SOCK_RAW", victim, "Block"))
    }

    private static func auditsRaw(_ file: String, _ policy: String) -> Scenario {
        Scenario(
            file: file, words: [victim, "socket", "2", "3", "1"], output: "ok\n",
            alert: (policy, "Network", "domain=AF_INET type=SOCK_RAW", victim, "Audit"))
    }

    private static func dropsRaw(_ file: String, _ policy: String) -> Scenario {
        Scenario(
            file: file, words: [victim, "socket", "2", "3", "1"], output: "errno 1 EPERM\n", status: nil,
            alert: (policy, "Capabilities", "CAP_NET_RAW", victim, "Block"))
    }

    private static func reportsUnlink(_ file: String, _ policy: String) -> Scenario {
        Scenario(
            file: file, words: ["unlink", "/home/user1/sub/data"], output: "",
            alert: (policy, "Syscall", "/home/user1/sub/data", "/usr/bin/unlink", "Audit"))
    }

    private static let otherPrograms: [Scenario] = [
        blocksProgram(
            prefix + "ksp__multiubuntu__ksp-match-expression-notin-block-process",
            "ksp-match-expression-notin-block-process", "apt"),
        blocksProgram(prefix + "multicontainer__manifests__container-1-ls-block", "container-1-block-ls", "ls"),
        blocksProgram(prefix + "multicontainer__manifests__empty-array-ls-block", "empty-array-ls-block", "ls"),
        blocksProgram(prefix + "multicontainer__manifests__empty-label-ls-block", "empty-array-ls-block", "ls"),
        blocksProgram(
            prefix + "multicontainer__manifests__malformated-array-ls-block", "malformated-array-ls-block", "ls"),
        blocksProgram(prefix + "privileged__manifests__caps-container-block-ls", "caps-container-block-ls", "ls"),
        blocksProgram(
            prefix + "privileged__manifests__priv-container-block-ls", "privileged-container-block-ls", "ls"),
        blocksProgram(prefix + "smoke__res__ksp-wordpress-block-process", "ksp-wordpress-block-process", "apt"),
        blocksProgram(prefix + "throttling__res__ksp-wordpress-block-process", "ksp-wordpress-block-process", "apt"),
        blocksProgram("tests__nonk8s_env__smoke__res__ksp-wordpress-block-policy", "ksp-block-policy", "apt"),
    ]

    private static let token = "/run/secrets/kubernetes.io/serviceaccount/token"
    private static let data = "/home/user1/secret_data1.txt"
    private static let inOperator = prefix + "csp__res__csp-in-operator-block-file-access"
    private static let ownerReadOnly = prefix + "ksp__multiubuntu__ksp-ubuntu-4-block-file-path-owner-readonly"

    private static let otherFiles: [Scenario] = [
        blocksRead(inOperator, "csp-in-operator-block-file-access", "/etc/host.conf"),
        reads(inOperator, "head", "/etc/host.conf", "multi on\n"),
        blocksRead(
            prefix + "csp__res__csp-not-in-operator-block-file-access", "csp-not-in-operator-block-file-access",
            "/etc/host.conf"),
        blocksRead(ownerReadOnly, "ksp-ubuntu-4-block-file-path-owner-readonly", data, by: asNobody),
        reads(ownerReadOnly, "cat", data, "DATA\n"),
        blocksRead(
            prefix + "scenarios__github_test_07__ksp-ubuntu-1-file-dir-recursive-owner-readonly-block",
            "ksp-ubuntu-1-file-dir-recursive-owner-readonly-block", "/home/user1/sub/data", by: asNobody),
        blocksRead(
            prefix + "smoke__res__ksp-wordpress-two-policies", "ksp-wordpress-block-config-pol01", "/etc/passwd"),
        Scenario(
            file: prefix + "smoke__res__ksp-mysql-audit-dir", words: ["cat", "/var/lib/mysql/table"],
            output: "TABLE\n",
            alert: ("ksp-mysql-audit-dir", "File", "/var/lib/mysql/table", "/usr/bin/cat", "Audit")),
        Scenario(
            file: prefix + "smoke__res__ksp-wordpress-block-mount-file",
            words: ["bash", "-c", "echo x > /dev/shm/new; exit 3"], output: "", error: "Permission denied", status: 3,
            alert: ("ksp-wordpress-block-mount-file", "File", "/dev/shm/new", "/usr/bin/bash", "Block")),
        Scenario(
            file: prefix + "smoke__res__ksp-wordpress-lenient-allow-sa", words: ["head", token], output: "",
            error: refused, status: nil,
            alert: ("ksp-wordpress-lenient-allow-sa", "File", token, "/usr/bin/head", "Block"),
            options: ["--file-posture", "block"]),
        Scenario(
            file: prefix + "smoke__res__ksp-wordpress-lenient-allow-sa", words: ["cat", token], output: "TOKEN\n",
            options: ["--file-posture", "block"]),
        reportsUnlink(
            prefix + "syscalls__manifests__matchsyscalls__matchsyscalls-global-fill-missing-local-information",
            "audit-unlink-global-fill-missing-local-information"),
        reportsUnlink(
            prefix + "syscalls__manifests__matchsyscalls__matchsyscalls-local-trumps-global-information",
            "audit-unlink-local-trumps-global-information"),
    ]

    private static let otherSockets: [Scenario] =
        [
            "blockposture__res__ksp-wordpress-allow-tcp", "configmap__manifests__ksp-fullyAnnotated-allow",
            "configmap__manifests__ksp-partialyAnnotated-allow",
            "networktests__res__ksp-ubuntu-1-allow-net-tcp-from-source",
            "scenarios__github_test_12__ksp-ubuntu-1-net-tcp-from-source-allow",
        ].flatMap { listsTCP(prefix + $0) } + [
            refusesRaw(prefix + "networktests__res__ksp-ubuntu-1-block-net-raw", "ksp-ubuntu-1-block-net-raw"),
            refusesRaw(
                prefix + "scenarios__github_test_14__ksp-ubuntu-1-net-raw-block", "ksp-ubuntu-1-net-raw-block"),
            auditsRaw(prefix + "networktests__res__ksp-ubuntu-1-audit-net-raw", "ksp-ubuntu-1-audit-net-raw"),
            auditsRaw(
                prefix + "scenarios__github_test_13__ksp-ubuntu-1-net-raw-audit", "ksp-ubuntu-1-net-raw-audit"),
            dropsRaw(prefix + "networktests__res__ksp-ubuntu-1-block-net-raw-cap", "ksp-ubuntu-1-block-net-raw-cap"),
            dropsRaw(
                prefix + "scenarios__github_test_10__ksp-ubuntu-1-cap-net-raw-block", "ksp-ubuntu-1-cap-net-raw-block"),
            Scenario(
                file: prefix + "networktests__res__ksp-ubuntu-1-block-dns",
                words: [victim, "query", "127.0.0.1:53", "sendto", "www.google.com"], output: "errno 13 EACCES\n",
                status: nil, alert: ("block-dns-query-to-google", "Network", "", victim, "Block")),
        ]

    /// Files for those who need nothing but what is listed: a program without libraries.
    private static func listsFiles(_ policy: String, _ path: String, _ text: String) -> [Scenario] {
        let file = prefix + "ksp__multiubuntu__" + policy
        let (program, options) = ("/usr/bin/busybox", ["--file-posture", "block"])
        return [
            Scenario(file: file, words: [program, "cat", path], output: text, options: options),
            Scenario(
                file: file, words: [program, "cat", "/secret.txt"], output: "", error: refused, status: 1,
                alert: ("DefaultPosture", "File", "/secret.txt", program, "Block"), options: options),
            Scenario(
                file: file, words: [program, "sh", "-c", "echo x >> \(path); exit 3"], output: "",
                error: "Permission denied", status: 3,
                alert: (policy, "File", path, program, "Block"), options: options),
        ]
    }

    private static let lists: [Scenario] =
        listsFiles("ksp-ubuntu-4-allow-file-path-readonly", "/credentials/password", "PASSWORD\n")
        + listsFiles("ksp-ubuntu-4-allow-file-path-owner-readonly", data, "DATA\n")

    static let others = otherPrograms + otherFiles + otherSockets + lists

    /// What such a policy needs besides.
    static func prepareOthers(_ root: PrivateRoot) throws {
        for directory in ["/run/secrets/kubernetes.io/serviceaccount", "/var/lib/mysql", "/dev/shm"] {
            try FileManager.default.createDirectory(
                atPath: root.mount + directory, withIntermediateDirectories: true)
        }
        for (name, text) in [
            (token, "TOKEN\n"), ("/var/lib/mysql/table", "TABLE\n"), ("/etc/host.conf", "multi on\n"),
        ] { try root.write(name, text) }
    }

    private static let ownImage =
        "lists what a container of its own image reads, and nothing else could start; allow-lists are AllowListTests'"

    /// Published policies that no scenario is about: where they are shown, or why they are not.
    static let elsewhere: [String: String] = [
        prefix + "presets__res__ksp-preset-block-fileless": "ContainerTests/aPresetHolds",
        prefix + "ksp__multiubuntu__nsp-group-1-block-file-dir-recursive":
            "an AppArmor profile: `status` says that it is not enforced",
        prefix + "scenarios__github_test_11__nsp-ubuntu-1-file-dir-recursive-block":
            "an AppArmor profile: `status` says that it is not enforced",
        prefix + "ksp__multiubuntu__ksp-group-2-audit-file-path-owner-from-source-path":
            "`ownerOnly` in an Audit rule: PolicyEngineTests",
        prefix + "blockposture__res__ksp-nginx-allow-file": ownImage,
        prefix + "configmap__manifests__ksp-unannotated-allow": ownImage,
        prefix + "ksp__multiubuntu__ksp-ubuntu-3-allow-proc-dir": ownImage,
        prefix + "ksp__multiubuntu__ksp-ubuntu-4-allow-file-path-owner-readonly-from-source-path": ownImage,
        prefix + "ksp__multiubuntu__ksp-ubuntu-4-allow-file-path-readonly-from-source-path": ownImage,
        prefix + "scenarios__github_test_05__ksp-ubuntu-1-file-path-allow-from-source": ownImage,
    ]
}

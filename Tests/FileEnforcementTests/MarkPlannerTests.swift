import LinuxKernel
import PolicyEngine
import PolicyModel
import Testing

@testable import FileEnforcement

@Suite("Mark planner")
struct MarkPlannerTests {
    private let position = SourcePosition(file: "test.yaml", line: 1, column: 1)

    private func plan(
        file: [PathSubject] = [], process: [PathSubject] = [], action: RuleAction = .block,
        postures: Postures = Postures(), on view: FakeFilesystem, features: EventFeatures = EventFeatures()
    ) throws -> MarkPlan {
        var policy = Policy(kind: .host, name: "p", position: position)
        let attributes = RuleAttributes(action: action)
        policy.file = file.map { FileRule(subject: $0, attributes: attributes, position: position) }
        policy.process = process.map { ProcessRule(subject: $0, attributes: attributes, position: position) }
        let compiled = try SnapshotCompiler().compile(policies: [policy], postures: postures, generation: 1)
        return try compiled.bytes.withUnsafeBytes { bytes in
            MarkPlanner.plan([try Snapshot(validating: bytes)], view: view, features: features)
        }
    }

    private func marks(_ plan: MarkPlan) -> [String] {
        plan.marks.map { mark in
            let kinds = [mark.opens ? "open" : "", mark.executions ? "exec" : "", mark.directories ? "dirs" : ""]
                .filter { !$0.isEmpty }.joined(separator: "+")
            return "\(mark.scope) \(String(decoding: mark.path, as: UTF8.self)) \(kinds)"
        }.sorted()
    }

    private var view: FakeFilesystem {
        var view = FakeFilesystem()
        for path in ["/etc", "/etc/ssl", "/usr", "/usr/bin", "/data"] { view.directories[path] = 1 }
        for path in ["/etc/shadow", "/usr/bin/ls"] { view.files[path] = 1 }
        view.links["/bin"] = "/usr/bin"
        return view
    }

    @Test func aNamedFileNeedsItselfAndItsDirectory() throws {
        let plan = try plan(file: [.path("/etc/shadow")], on: view)
        #expect(marks(plan) == ["directory /etc open", "inode /etc/shadow open"])
        #expect(plan.notes.isEmpty)
        #expect(plan.watched == [Array("/etc".utf8)])
    }

    @Test func anAbsentFileIsNotedAndItsDirectoryMarked() throws {
        let plan = try plan(file: [.path("/data/later/secret")], on: view)
        #expect(marks(plan) == ["directory /data open"])
        #expect(plan.notes.map(\.gap) == [.absent])
        #expect(plan.watched == [Array("/data".utf8)])
    }

    @Test func aSmallTreeGetsAMarkOnEachDirectory() throws {
        let plan = try plan(file: [.directory("/etc/", recursive: true)], on: view)
        #expect(marks(plan) == ["directory /etc open+dirs", "directory /etc/ssl open+dirs"])
    }

    @Test func aDirectRuleMarksOnlyItsDirectory() throws {
        let plan = try plan(file: [.directory("/etc/", recursive: false)], on: view)
        #expect(marks(plan) == ["directory /etc open+dirs"])
    }

    @Test func aLargeTreeGetsOneMarkOnTheFilesystem() throws {
        var view = view
        for number in 0...MarkPlanner.directoryLimit { view.directories["/data/\(number)"] = 1 }
        let plan = try plan(file: [.directory("/data/", recursive: true)], on: view)
        #expect(marks(plan) == ["filesystem / open+dirs"])
    }

    @Test func aProgramNeedsItsFilesystemForExecutionAndItselfForInterpreters() throws {
        let plan = try plan(process: [.path("/usr/bin/ls")], on: view)
        #expect(marks(plan) == ["filesystem / exec", "inode /usr/bin/ls open"])
    }

    @Test func onlyTheSubjectsFilesystemIsMarked() throws {
        var view = view
        view.directories["/mnt"] = 2
        view.files["/mnt/prog"] = 2
        view.mounts.append(Superblock(device: 2, mountPoint: Array("/mnt".utf8), isMarkable: true))
        let plan = try plan(process: [.path("/mnt/prog")], on: view)
        #expect(marks(plan) == ["filesystem /mnt exec", "inode /mnt/prog open"])
    }

    @Test func aNameOrAPatternWithoutPrefixNeedsEveryFilesystem() throws {
        var view = view
        view.mounts.append(Superblock(device: 2, mountPoint: Array("/mnt".utf8), isMarkable: true))
        view.mounts.append(Superblock(device: 3, mountPoint: Array("/proc".utf8), isMarkable: false))
        let names = try plan(process: [.execname("nc")], on: view)
        #expect(marks(names) == ["filesystem / exec", "filesystem /mnt exec"])
        #expect(names.notes.map(\.gap) == [.interpretersUnseen])
        let patterns = try plan(file: [.pattern("/**/id_rsa")], on: view)
        #expect(marks(patterns) == ["filesystem / open+dirs", "filesystem /mnt open+dirs"])
    }

    @Test func anAllowListNeedsEveryFilesystem() throws {
        let plan = try plan(
            file: [.path("/etc/shadow")], action: .allow, postures: Postures(file: .block), on: view)
        #expect(marks(plan) == ["filesystem / open+dirs"])
    }

    @Test func aMarkOnTheFilesystemMakesMarksOnItsObjectsNeedless() throws {
        let plan = try plan(file: [.path("/etc/shadow"), .pattern("/etc/*.key")], on: view)
        #expect(marks(plan) == ["filesystem / open+dirs"])
    }

    @Test func aSubjectOnProcfsIsReportedNotMarked() throws {
        var view = view
        view.directories["/proc"] = 3
        view.files["/proc/version"] = 3
        view.mounts.append(Superblock(device: 3, mountPoint: Array("/proc".utf8), isMarkable: false))
        let plan = try plan(file: [.path("/proc/version")], on: view)
        #expect(plan.marks.isEmpty)
        #expect(plan.notes.map(\.gap) == [.unmarkable])
    }

    @Test func patternPrefixesEndAtTheFirstSpecialCharacter() {
        let cases = [("/etc/*.conf", "/etc"), ("/*", "/"), ("/a/b/c", "/a/b"), ("/a/{b,c}/d", "/a"), ("/a\\*b", "/")]
        for (pattern, expected) in cases {
            #expect(MarkPlanner.literalDirectory(Array(pattern.utf8)) == Array(expected.utf8), "\(pattern)")
        }
    }

    // MARK: - Older kernels

    @Test func withoutMarksOnFilesystemsEveryMountIsMarkedAndThatIsSaid() throws {
        var view = view
        view.mounts[0].otherMountPoints = [Array("/data".utf8)]
        var features = EventFeatures()
        features.marksFilesystems = false
        let plan = try plan(file: [.pattern("/**/id_rsa"), .path("/etc/shadow")], on: view, features: features)
        // A mount mark ends with the mount: what the rule names keeps marks of its own.
        #expect(
            marks(plan) == [
                "directory /etc open", "inode /etc/shadow open", "mount / open+dirs", "mount /data open+dirs",
            ])
        #expect(plan.notes.map(\.gap) == [.filesystemsUnmarked])
    }

    @Test func withoutEventsForExecutionsAProgramAndItsDirectoryAreMarked() throws {
        var features = EventFeatures()
        features.tellsExecutions = false
        let plan = try plan(process: [.path("/usr/bin/ls")], on: view, features: features)
        #expect(marks(plan) == ["directory /usr/bin exec", "inode /usr/bin/ls open+exec"])
        #expect(plan.notes.map(\.gap) == [.callersGuessed])
    }

    @Test func withoutEventsForExecutionsAnAllowListStillNeedsEveryFilesystem() throws {
        var features = EventFeatures()
        features.tellsExecutions = false
        let plan = try plan(
            process: [.path("/usr/bin/ls")], action: .allow, postures: Postures(file: .block), on: view,
            features: features)
        #expect(marks(plan) == ["filesystem / exec"])
    }

    @Test func withoutEventsThatNameThreadsThatIsSaid() throws {
        var features = EventFeatures()
        features.tellsThreads = false
        #expect(
            try plan(file: [.path("/etc/shadow")], on: view, features: features).notes.map(\.gap) == [.callersGuessed])
    }

    // MARK: - File systems that others use too

    private func shared(_ view: FakeFilesystem) -> FakeFilesystem {
        var view = view
        view.mounts = [Superblock(device: 1, mountPoint: Array("/".utf8), isMarkable: true, isShared: true)]
        view.mounts[0].otherMountPoints = [Array("/etc".utf8)]
        return view
    }

    @Test func aSharedFilesystemIsNeverMarkedAsAWhole() throws {
        let recursive = PathSubject.directory("/etc/", recursive: true)
        let plans = try [
            plan(process: [.path("/usr/bin/ls")], on: shared(view)), plan(process: [recursive], on: shared(view)),
            plan(file: [.pattern("/etc/*.key")], on: shared(view)),
            plan(process: [.execname("ls")], on: shared(view)),
            plan(process: [.path("/usr/bin/ls")], action: .allow, on: shared(view)),
        ]
        for plan in plans { #expect(!plan.marks.contains { $0.scope == .filesystem }, "\(marks(plan))") }
        #expect(marks(plans[0]) == ["directory /usr/bin exec", "inode /usr/bin/ls open+exec"])
        #expect(marks(plans[1]) == ["directory /etc open+exec", "directory /etc/ssl open+exec"])
        #expect(plans[0].notes.isEmpty && plans[1].notes.isEmpty)
        #expect(marks(plans[2]) == ["mount / open+dirs", "mount /etc open+dirs"])
        #expect(marks(plans[3]) == ["mount / exec", "mount /etc exec"])
        for plan in plans[2...] { #expect(plan.notes.contains { $0.gap == .mountsOnly }) }
    }

    @Test func marksOnMountsDoNotReplaceThoseOnObjects() throws {
        let plan = try plan(file: [.path("/etc/shadow"), .pattern("/data/*")], on: shared(view))
        #expect(
            marks(plan) == [
                "directory /etc open", "inode /etc/shadow open", "mount / open+dirs", "mount /etc open+dirs",
            ])
    }

    @Test func aFileOfManyNamesIsAskedAboutByAllWhereTheKernelTakesThemForMany() throws {
        var view = view
        view.linked = ["/etc/shadow"]
        #expect(try !plan(file: [.path("/etc/shadow")], on: view).marks.contains { $0.scope == .filesystem })
        view.mounts[0].splitsNames = true
        for subject in [PathSubject.path("/etc/shadow"), .directory("/etc/", recursive: true)] {
            #expect(try marks(plan(file: [subject], on: view)) == ["filesystem / open+dirs"])
        }
        #expect(try !plan(file: [.path("/data/x")], on: view).marks.contains { $0.scope == .filesystem })
    }
}

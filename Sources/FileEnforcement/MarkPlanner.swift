import LinuxKernel
import PolicyEngine
import PolicyModel

/// Plans the marks for snapshots by what they cost (docs/performance.md):
/// an inode or directory mark costs other files nothing, a filesystem mark for executions next to nothing, and a filesystem
/// mark for opens is worth it only for patterns, large trees and allow-lists.
public struct MarkPlanner {
    /// A recursive rule with at most this many directories gets a mark on each instead of one on the filesystem.
    public static let directoryLimit = 512

    private var view: any FilesystemView
    private var plan = MarkPlan()
    private var superblocks: [Superblock] = []
    /// Superblocks whose opens, and whose executions, are asked about as a whole.
    private var openDevices: Set<UInt64> = []
    private var execDevices: Set<UInt64> = []
    private var objectMarks: [(device: UInt64, mark: PlannedMark)] = []

    private let reviewsReads: Bool
    private let features: EventFeatures

    private init(view: any FilesystemView, reviewsReads: Bool, features: EventFeatures) {
        self.view = view
        self.reviewsReads = reviewsReads
        self.features = features
    }

    /// The plan for the snapshots of all workloads.
    ///
    /// - Parameters:
    ///   - reviewsReads: reads of what file rules name are asked about too, whoever opened it.
    ///   - features: what the kernel's fanotify has.
    public static func plan(
        _ snapshots: [Snapshot], view: any FilesystemView, reviewsReads: Bool = false,
        visible: VisibleOperations = VisibleOperations(), features: EventFeatures = EventFeatures()
    ) -> MarkPlan {
        var planner = MarkPlanner(view: view, reviewsReads: reviewsReads, features: features)
        planner.superblocks = planner.view.superblocks()
        var subjects: [OwnedSubject] = []
        for snapshot in snapshots {
            snapshot.forEachSubject { subjects.append(OwnedSubject($0)) }
            planner.planAllowLists(snapshot)
        }
        for subject in subjects where subject.action != .allow { planner.plan(subject) }
        planner.plan(visible)
        planner.finish()
        return planner.plan
    }

    /// A subject with text of its own, so that planning does not borrow the snapshot.
    private struct OwnedSubject {
        var category: Category
        var kind: SubjectKind
        var text: [UInt8]
        var action: RuleAction
        var rule: RuleID

        init(_ subject: SnapshotSubject) {
            category = subject.category
            kind = subject.kind
            text = [UInt8](subject.text)
            action = subject.action
            rule = subject.rule
        }

        /// A directory's text without its trailing slash; `/` stays.
        var path: [UInt8] { text.count > 1 && text.last == UInt8(ascii: "/") ? Array(text.dropLast()) : text }
    }

    private mutating func planAllowLists(_ snapshot: Snapshot) {
        let asksFiles = snapshot.isAllowList(.file) && snapshot.posture(.file) != .allow
        let asksPrograms = snapshot.isAllowList(.process) && snapshot.posture(.process) != .allow
        for superblock in superblocks where superblock.isMarkable {
            // An Allow rule with readOnly or ownerOnly denies whatever the posture says.
            let opens = asksFiles || snapshot.isAllowList(.file)
            let executions = asksPrograms || snapshot.isAllowList(.process)
            if opens { openDevices.insert(superblock.device) }
            if executions { execDevices.insert(superblock.device) }
            if superblock.isShared, opens || executions { plan.notes.insert(PlanNote(rule: .none, gap: .mountsOnly)) }
        }
    }

    /// What is to be seen is asked about, wherever it is.
    private mutating func plan(_ visible: VisibleOperations) {
        guard visible.host.contains(.file) || visible.host.contains(.process) else { return }
        let places = Set(visible.places.compactMap { view.object(at: Array($0.utf8))?.device })
        for superblock in superblocks where superblock.isMarkable {
            guard visible.places.isEmpty || places.contains(superblock.device) else { continue }
            if visible.host.contains(.file) { openDevices.insert(superblock.device) }
            if visible.host.contains(.process) { execDevices.insert(superblock.device) }
        }
    }

    private mutating func plan(_ subject: OwnedSubject) {
        switch (subject.category, subject.kind) {
        case (.process, .execname):
            askExecutions(of: Set(superblocks.filter(\.isMarkable).map(\.device)), subject)
            note(subject, .interpretersUnseen)
        case (_, .pattern): planPattern(subject)
        case (.process, .path): planProgram(subject)
        case (_, .path): planFile(subject)
        case (_, .directory), (_, .recursiveDirectory): planDirectory(subject)
        case (_, .execname): break
        }
    }

    private mutating func planPattern(_ subject: OwnedSubject) {
        let prefix = Self.literalDirectory(subject.text)
        let devices = markableDevices(under: prefix, subject)
        if subject.category == .process {
            askExecutions(of: devices, subject)
            note(subject, .interpretersUnseen)
        } else {
            askOpens(of: devices, subject)
            index(prefix, recursive: true, subject)
            if reviewsReads { note(subject, .readsUnreviewed) }
        }
    }

    private mutating func planProgram(_ subject: OwnedSubject) {
        watchParent(of: subject.path)
        guard let object = located(subject) else { return }
        let byObject = marksObjects(object.device)
        if !byObject { execDevices.insert(object.device) }
        guard object.canonicalPath == canonical(subject.path) else {
            if byObject { add(.directory, object.canonicalPath, object.device, opens: false, executions: true) }
            return
        }
        // Opens of the program itself: `ld.so program`, `sh script`.
        add(.inode, object.canonicalPath, object.device, opens: true, executions: byObject)
        if byObject {
            add(.directory, Self.parent(of: object.canonicalPath), object.device, opens: false, executions: true)
        }
        index(object.canonicalPath, recursive: nil, subject)
    }

    private mutating func planFile(_ subject: OwnedSubject) {
        watchParent(of: subject.path)
        guard let object = located(subject) else { return }
        guard let existing = view.object(at: subject.path) else {
            // Nearest existing directory: a file created there under the missing name is seen when it is the parent.
            add(.directory, object.canonicalPath, object.device, opens: true)
            return
        }
        add(
            .inode, existing.canonicalPath, existing.device, opens: true, directories: existing.isDirectory,
            reads: reviewsReads)
        let parent = Self.parent(of: existing.canonicalPath)
        if let holder = view.object(at: parent), isMarkable(holder.device) {
            add(.directory, holder.canonicalPath, holder.device, opens: true, directories: existing.isDirectory)
            plan.watched.insert(holder.canonicalPath)
        }
        askByAllNames(existing.canonicalPath, existing.device, recursive: false, subject)
        index(existing.canonicalPath, recursive: nil, subject)
    }

    private mutating func planDirectory(_ subject: OwnedSubject) {
        watchParent(of: subject.path)
        guard let object = located(subject) else { return }
        guard view.object(at: subject.path) != nil, object.isDirectory else {
            let byObject = marksObjects(object.device)
            let isProcess = subject.category == .process
            add(.directory, object.canonicalPath, object.device, opens: true, executions: isProcess && byObject)
            if isProcess, !byObject { execDevices.insert(object.device) }
            return
        }
        let recursive = subject.kind == .recursiveDirectory
        if subject.category == .process {
            // Of one that is not marked for it the marks of its directories ask, as far as there are not too many.
            let devices = recursive ? markableDevices(under: object.canonicalPath, subject) : [object.device]
            execDevices.formUnion(devices.filter { !marksObjects($0) })
            let further = devices.subtracting([object.device]).filter(marksObjects)
            if !further.isEmpty { askExecutions(of: further, subject) }
        }
        if recursive {
            guard let tree = view.directories(under: object.canonicalPath, limit: Self.directoryLimit) else {
                if subject.category == .process {
                    if marksObjects(object.device) { askExecutions(of: [object.device], subject) }
                    note(subject, .interpretersUnseen)
                } else {
                    askOpens(of: markableDevices(under: object.canonicalPath, subject), subject)
                    index(object.canonicalPath, recursive: true, subject)
                    if reviewsReads { note(subject, .readsUnreviewed) }
                }
                return
            }
            for directory in tree {
                addTree(directory, object.device, subject)
                plan.watched.insert(directory)
            }
            // Other superblocks mounted inside the tree.
            for superblock in superblocks
            where superblock.isMarkable && superblock.device != object.device
                && Self.isInside(superblock.mountPoint, object.canonicalPath)
            {
                if subject.category == .file { askOpens(of: [superblock.device], subject) }
            }
        } else {
            addTree(object.canonicalPath, object.device, subject)
            plan.watched.insert(object.canonicalPath)
        }
        if subject.category == .file {
            askByAllNames(object.canonicalPath, object.device, recursive: recursive, subject)
        }
        index(object.canonicalPath, recursive: recursive, subject)
    }

    // MARK: - Parts

    /// The object of a subject, or the nearest directory above it that exists; `nil` with a note when it cannot be marked.
    private mutating func located(_ subject: OwnedSubject) -> ViewedObject? {
        var path = subject.path
        var isItself = true
        while true {
            if let object = view.object(at: path) {
                if !isItself { note(subject, .absent) }
                guard isMarkable(object.device) else {
                    note(subject, .unmarkable)
                    return nil
                }
                if !isItself { plan.watched.insert(object.canonicalPath) }
                return object
            }
            guard path.count > 1 else { return nil }
            path = Self.parent(of: path)
            isItself = false
        }
    }

    private mutating func canonical(_ path: [UInt8]) -> [UInt8]? { view.object(at: path)?.canonicalPath }

    private mutating func watchParent(of path: [UInt8]) {
        if let parent = view.object(at: Self.parent(of: path)), parent.isDirectory, isMarkable(parent.device) {
            plan.watched.insert(parent.canonicalPath)
        }
    }

    private func isMarkable(_ device: UInt64) -> Bool {
        superblocks.contains { $0.device == device && $0.isMarkable }
    }

    /// Has opens asked about by every name, of files that have several and are not one object to the kernel.
    private mutating func askByAllNames(_ path: [UInt8], _ device: UInt64, recursive: Bool, _ subject: OwnedSubject) {
        guard superblocks.contains(where: { $0.device == device && $0.splitsNames }),
            view.hasFilesOfManyNames(path, recursive: recursive)
        else { return }
        askOpens(of: [device], subject)
    }

    private func isShared(_ device: UInt64) -> Bool { superblocks.contains { $0.device == device && $0.isShared } }

    /// Whether a superblock's programs are asked about by marks on them and their places: where it is not to be marked as a whole,
    /// and where that would ask about every open.
    private func marksObjects(_ device: UInt64) -> Bool { !features.tellsExecutions || isShared(device) }

    private func marksMounts(_ superblock: Superblock) -> Bool { !features.marksFilesystems || superblock.isShared }

    /// Has every open of superblocks asked about.
    private mutating func askOpens(of devices: Set<UInt64>, _ subject: OwnedSubject) {
        openDevices.formUnion(devices)
        if devices.contains(where: isShared) { note(subject, .mountsOnly) }
    }

    /// Has every execution on superblocks asked about.
    private mutating func askExecutions(of devices: Set<UInt64>, _ subject: OwnedSubject) {
        execDevices.formUnion(devices)
        if devices.contains(where: isShared) { note(subject, .mountsOnly) }
    }

    private mutating func markableDevices(under path: [UInt8], _ subject: OwnedSubject) -> Set<UInt64> {
        var devices: Set<UInt64> = []
        var probe = path
        while probe.count > 1, view.object(at: probe) == nil { probe = Self.parent(of: probe) }
        if let object = view.object(at: probe) {
            if isMarkable(object.device) { devices.insert(object.device) } else { note(subject, .unmarkable) }
        }
        for superblock in superblocks where superblock.isMarkable && Self.isInside(superblock.mountPoint, path) {
            devices.insert(superblock.device)
        }
        return devices
    }

    private mutating func add(
        _ scope: PlannedMark.Scope, _ path: [UInt8], _ device: UInt64, opens: Bool, executions: Bool = false,
        directories: Bool = false, reads: Bool = false
    ) {
        objectMarks.append(
            (
                device,
                PlannedMark(
                    scope: scope, path: path, opens: opens, executions: executions, directories: directories,
                    reads: reads)
            ))
    }

    private mutating func addTree(_ directory: [UInt8], _ device: UInt64, _ subject: OwnedSubject) {
        let isFile = subject.category == .file
        add(
            .directory, directory, device, opens: true, executions: !isFile && marksObjects(device),
            directories: isFile,
            reads: isFile && reviewsReads)
    }

    private mutating func index(_ path: [UInt8], recursive: Bool?, _ subject: OwnedSubject) {
        plan.indexed.append(
            MarkPlan.IndexedSubject(
                path: path, recursive: recursive, rule: subject.rule, category: subject.category))
    }

    private mutating func note(_ subject: OwnedSubject, _ gap: PlanNote.Gap) {
        plan.notes.insert(PlanNote(rule: subject.rule, gap: gap))
    }

    private mutating func finish() {
        for superblock in superblocks where superblock.isMarkable {
            let opens = openDevices.contains(superblock.device)
            let executions = execDevices.contains(superblock.device)
            guard opens || executions else { continue }
            let isMount = marksMounts(superblock)
            for point in [superblock.mountPoint] + (isMount ? superblock.otherMountPoints : []) {
                plan.marks.insert(
                    PlannedMark(
                        scope: isMount ? .mount : .filesystem, path: point, opens: opens,
                        executions: executions, directories: opens))
            }
            if !features.marksFilesystems { plan.notes.insert(PlanNote(rule: .none, gap: .filesystemsUnmarked)) }
        }
        if !features.tellsThreads || !features.tellsExecutions {
            plan.notes.insert(PlanNote(rule: .none, gap: .callersGuessed))
        }
        // A mark on the whole superblock already asks about its objects; one on a mount only as long as it is used.
        let onMounts = Set(superblocks.filter(marksMounts).map(\.device))
        for (device, mark) in objectMarks
        where mark.reads || !openDevices.contains(device) || onMounts.contains(device) {
            plan.marks.insert(mark)
        }
    }

    /// The directory part of a pattern before its first special character, without a trailing slash.
    static func literalDirectory(_ pattern: [UInt8]) -> [UInt8] {
        let special = Set("*?[{\\".utf8)
        let end = pattern.firstIndex { special.contains($0) } ?? pattern.endIndex
        let slash = pattern[..<end].lastIndex(of: UInt8(ascii: "/")) ?? 0
        return slash == 0 ? [UInt8(ascii: "/")] : Array(pattern[..<slash])
    }

    static func parent(of path: [UInt8]) -> [UInt8] {
        guard let slash = path.lastIndex(of: UInt8(ascii: "/")), slash > 0 else { return [UInt8(ascii: "/")] }
        return Array(path[..<slash])
    }

    static func isInside(_ path: [UInt8], _ directory: [UInt8]) -> Bool {
        if directory == [UInt8(ascii: "/")] { return true }
        return path.count >= directory.count && path.starts(with: directory)
            && (path.count == directory.count || path[directory.count] == UInt8(ascii: "/"))
    }
}

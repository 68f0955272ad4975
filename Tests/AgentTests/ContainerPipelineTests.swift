import FileEnforcement
import NetworkEnforcement
import PolicyEngine
import PolicyLoading
import PolicyModel
import Testing
import Workloads

@testable import Agent
@testable import AgentCore

/// A worker that answers at once, and remembers what it was told.
private final class FakeWorker {
    struct Message {
        var message: ChannelMessage
        var contents: [UInt8]?
    }

    var heard: [Message] = []
    /// Real names in each container, by what they are in its policies.
    var links: [UInt64: [String: String]] = [:]
    /// Why containers do not start.
    var problem = ""
    /// It has died: nothing is answered.
    var isGone = false
    private var pipeline: PolicyPipeline?
    private var pending: [Message] = []

    func makePipeline() -> PolicyPipeline {
        var number: UInt64 = 0
        let pipeline = PolicyPipeline(
            node: NodeLabels(host: "node1", further: []), postures: Postures(),
            newNumber: {
                number += 1
                return number
            },
            send: { [self] message, contents in
                heard.append(Message(message: message, contents: contents))
                pending.append(Message(message: message, contents: contents))
                return true
            })
        self.pipeline = pipeline
        return pipeline
    }

    /// Answers until there is nothing left to answer.
    func run() {
        while !pending.isEmpty {
            let asked = pending.removeFirst()
            guard !isGone, let pipeline else { continue }
            switch asked.message.kind {
            case .resolve:
                let answer = NameResolution.groups(asked.contents ?? []).map { group in
                    (
                        group.workload,
                        group.names.flatMap { name in links[group.workload]?[name].map { [name, $0] } ?? [] }
                    )
                }
                pipeline.receive(
                    ChannelMessage(.resolved, number: asked.message.number), contents: NameResolution.encode(answer))
            case .snapshot: pipeline.receive(ChannelMessage(.activated, number: asked.message.number), contents: [])
            case .startContainer:
                let words = asked.message.string.split(separator: " ").compactMap { UInt64($0) }
                pipeline.receive(ChannelMessage(.containerStarted, number: words[0], text: problem), contents: [])
            default: break
            }
        }
    }

    func count(_ kind: ChannelMessage.Kind) -> Int { heard.count { $0.message.kind == kind } }
    func last(_ kind: ChannelMessage.Kind) -> Message? { heard.last { $0.message.kind == kind } }
}

@Suite("Containers and their policies")
struct ContainerPipelineTests {
    private static func policy(_ name: String, app: String, path: String = "/etc/shadow") -> String {
        """
        apiVersion: security.kubearmor.com/v1
        kind: KubeArmorPolicy
        metadata: {name: \(name), namespace: default}
        spec:
          selector: {matchLabels: {app: \(app)}}
          file: {matchPaths: [{path: \(path)}]}
          action: Block

        """
    }

    private static func store(_ texts: String...) -> PolicyStore {
        var store = PolicyStore()
        for text in texts {
            store.apply(PolicyDocumentLoader().load(bytes: Array(text.utf8), file: "t.yaml").policies)
        }
        return store
    }

    private static func container(_ id: Int, app: String = "web", isSupervised: Bool = false)
        -> PolicyPipeline.Container
    {
        PolicyPipeline.Container(
            identity: ContainerIdentity(id: "c\(id)", name: "c\(id)", labels: ["app": app]),
            origin: ContainerOrigin(
                process: Int32(1000 + id), id: "c\(id)", isStarting: true, isSupervised: isSupervised))
    }

    private static func number(_ id: Int) -> UInt64 { SnapshotBundle.container(UInt64(id)) }

    private static func started(_ store: PolicyStore) -> (FakeWorker, PolicyPipeline) {
        let worker = FakeWorker()
        let pipeline = worker.makePipeline()
        pipeline.submit(PolicyPipeline.Change(store: store) { _ in })
        worker.run()
        return (worker, pipeline)
    }

    @Test func aThousandContainersOfOneKindShareOneSet() throws {
        let (worker, pipeline) = Self.started(Self.store(Self.policy("web", app: "web"), Self.policy("db", app: "db")))
        var problems: [String?] = []
        var bytes: [Int] = []
        for id in 1...1000 {
            let before = worker.heard.count
            pipeline.start(Self.number(id), Self.container(id)) { problems.append($0) }
            worker.run()
            bytes.append(
                worker.heard[before...].reduce(0) { $0 + $1.message.bytes.count + ($1.contents?.count ?? 0) })
        }
        #expect(problems == Array(repeating: nil, count: 1000))
        #expect(worker.count(.snapshot) == 1 && worker.count(.sets) == 1 && worker.count(.startContainer) == 1000)
        // What a start says does not grow with how many there are, but for the digits of their numbers.
        #expect(bytes[1...].allSatisfy { $0 <= bytes[1] + 40 })
        // A change of policies tells of each of them, and compiles once for all.
        pipeline.submit(PolicyPipeline.Change(store: Self.store(Self.policy("web", app: "web", path: "/x"))) { _ in })
        worker.run()
        let contents = try #require(worker.last(.snapshot)?.contents)
        try contents.withUnsafeBytes { raw in
            let bundle = try SnapshotBundle(validating: raw)
            #expect(bundle.assignments.count == 1000)
            #expect(Set(bundle.assignments.map(\.set)).count == 1)
        }
    }

    @Test func whoIsSelectedByOthersHasASetOfItsOwn() throws {
        let (worker, pipeline) = Self.started(Self.store(Self.policy("web", app: "web"), Self.policy("db", app: "db")))
        for (id, app) in [(1, "web"), (2, "db"), (3, "web"), (4, "none")] {
            pipeline.start(Self.number(id), Self.container(id, app: app)) { #expect($0 == nil) }
        }
        worker.run()
        #expect(worker.count(.sets) == 3)
        let sets = (1...4).map { pipeline.containers[Self.number($0)]?.set }
        #expect(sets[0] == sets[2] && Set(sets).count == 3)
        // Nor do those share one in whose root a name leads elsewhere, or who are held in another way.
        worker.links[Self.number(5)] = ["/etc/shadow": "/data/shadow"]
        pipeline.start(Self.number(5), Self.container(5)) { #expect($0 == nil) }
        pipeline.start(Self.number(6), Self.container(6, isSupervised: true)) { #expect($0 == nil) }
        worker.run()
        #expect(worker.count(.sets) == 5)
        let rule = pipeline.rule(RuleID(rawValue: 0), generation: try generation(5, pipeline))
        #expect(rule?.policyName == "web" && rule?.subject == "/etc/shadow")
    }

    private func generation(_ id: Int, _ pipeline: PolicyPipeline) throws -> UInt64 {
        let set = try #require(pipeline.containers[Self.number(id)]?.set)
        return try #require(pipeline.sets[set]?.generation)
    }

    @Test func aChangeOfOthersPoliciesLeavesASetAsItIs() throws {
        let web = Self.policy("web", app: "web")
        let (worker, pipeline) = Self.started(Self.store(web, Self.policy("db", app: "db")))
        pipeline.start(Self.number(1), Self.container(1)) { _ in }
        pipeline.start(Self.number(2), Self.container(2, app: "db")) { _ in }
        worker.run()
        let before = (pipeline.containers[Self.number(1)]?.set, pipeline.containers[Self.number(2)]?.set)
        pipeline.submit(
            PolicyPipeline.Change(store: Self.store(web, Self.policy("db", app: "db", path: "/y"))) { _ in })
        worker.run()
        #expect(pipeline.containers[Self.number(1)]?.set == before.0)
        #expect(pipeline.containers[Self.number(2)]?.set != before.1)
    }

    @Test func aWorkerThatDiesMeanwhileIsAskedAgain() {
        let (worker, pipeline) = Self.started(Self.store(Self.policy("web", app: "web")))
        var answers = 0
        worker.isGone = true
        pipeline.start(Self.number(1), Self.container(1)) { problem in
            #expect(problem == nil)
            answers += 1
        }
        worker.run()
        #expect(answers == 0)
        worker.isGone = false
        pipeline.workerStarted(generation: pipeline.active?.generation ?? 0)
        worker.run()
        #expect(answers == 1)
        // What its predecessor knew of sets is not known of it.
        pipeline.workerStarted(generation: pipeline.active?.generation ?? 0)
        pipeline.start(Self.number(2), Self.container(2)) { #expect($0 == nil) }
        worker.run()
        #expect(worker.count(.sets) == 2)
    }

    @Test func whyAContainerDoesNotStartIsTold() {
        let (worker, pipeline) = Self.started(Self.store(Self.policy("web", app: "web")))
        worker.problem = "no such process"
        var problems: [String?] = []
        pipeline.start(Self.number(1), Self.container(1)) { problems.append($0) }
        worker.run()
        #expect(problems == ["no such process"])
        let early = FakeWorker()
        early.makePipeline().start(Self.number(1), Self.container(1)) { problems.append($0) }
        early.run()
        #expect(problems.last == "the policies are not known")
    }

    @Test func aNewFrontAssignsWhatItsPredecessorHad() throws {
        let worker = FakeWorker()
        let pipeline = worker.makePipeline()
        pipeline.restore([Self.number(1): Self.container(1), Self.number(2): Self.container(2, app: "db")])
        pipeline.submit(PolicyPipeline.Change(store: Self.store(Self.policy("web", app: "web"))) { _ in })
        worker.run()
        let assigned = try #require(worker.last(.snapshot)?.contents).withUnsafeBytes { raw in
            try SnapshotBundle(validating: raw).assignments.map(\.container)
        }
        #expect(assigned == [Self.number(1), Self.number(2)])
        #expect(worker.count(.container) == 0)
    }

    @Test func setsThatNobodyHasAreForgotten() {
        let (worker, pipeline) = Self.started(Self.store())
        for id in 1...300 {
            let text = Self.policy("p", app: "web", path: "/x/\(id)")
            pipeline.submit(PolicyPipeline.Change(store: Self.store(text)) { _ in })
            pipeline.start(Self.number(id), Self.container(id)) { #expect($0 == nil) }
            worker.run()
            pipeline.end(Self.number(id))
        }
        #expect(pipeline.sets.all.count < 100)
    }

    /// Names that lead elsewhere in each root make a set for each container, under policies that never change.
    @Test func aWorkerForgetsSetsThatNobodyHasToo() throws {
        let (worker, pipeline) = Self.started(Self.store(Self.policy("web", app: "web")))
        var known: Set<UInt64> = []
        var most = 0
        for id in 1...300 {
            worker.links[Self.number(id)] = ["/etc/shadow": "/data/\(id)"]
            let before = worker.heard.count
            pipeline.start(Self.number(id), Self.container(id)) { #expect($0 == nil) }
            worker.run()
            for (message, contents) in worker.heard[before...].map({ ($0.message, $0.contents ?? []) }) {
                guard message.kind == .sets || message.kind == .snapshot else { continue }
                try contents.withUnsafeBytes { bytes in
                    let bundle = try SnapshotBundle(validating: bytes, hasHost: message.kind == .snapshot)
                    let sets = Set(bundle.sets.map(\.workload))
                    known = message.kind == .snapshot ? sets : known.union(sets)
                }
            }
            most = max(most, known.count)
            pipeline.end(Self.number(id))
        }
        #expect(most < 100)
        // Not at every start.
        #expect(worker.count(.snapshot) < 20)
    }

    @Test func anOriginTravels() throws {
        var origin = ContainerOrigin(process: 4711, id: "web", isStarting: true, isSupervised: false)
        (origin.rootPath, origin.bundle) = ("/a b/\u{1}rootfs", "/x")
        #expect(ContainerOrigin(try #require(origin.text)) == origin)
        origin.id = "a\u{0}b"
        #expect(origin.text == nil)
        origin.id = String(repeating: "x", count: 20_000)
        #expect(origin.text == nil)
        for words in ["", "1", "0 1 0 id / /", "77 2 0 id / /", "77 1 0 id /", "77 1 0 id / / /"] {
            let text = words.split(separator: " ").joined(separator: "\u{0}")
            #expect(ContainerOrigin(Array(text.utf8)) == nil, "\(words)")
        }
        let known = ContainerKeeper.Known(startTime: 5, set: 7, starter: .init(process: 4711, device: 8, inode: 9))
        #expect(ContainerKeeper.Known(known.text[...], process: 4711) == known)
        #expect(ContainerKeeper.Known(Array("5 7".utf8)[...], process: 1)?.starter == nil)
        #expect(ContainerKeeper.Known(Array("5 7 9".utf8)[...], process: 1) == nil)
    }
}

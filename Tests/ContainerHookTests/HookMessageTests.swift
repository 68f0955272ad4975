import PlainJSON
import Testing

@testable import ContainerHook

@Suite("Messages of hooks")
struct HookMessageTests {
    private static let message = HookMessage(
        stage: .createRuntime, state: Array(#"{"id":"web"}"#.utf8), configuration: Array("{\n\u{0}}".utf8),
        files: [.containers, .events])

    @Test(arguments: HookMessage.Stage.allCases) func whatIsSentIsRead(stage: HookMessage.Stage) {
        var message = Self.message
        message.stage = stage
        #expect(HookMessage.read(message.bytes) == .message(message))
        message.files = []
        message.configuration = []
        #expect(HookMessage.read(message.bytes) == .message(message))
    }

    @Test func everyBeginningIsIncomplete() {
        let bytes = Self.message.bytes
        for length in 0..<bytes.count { #expect(HookMessage.read(Array(bytes[..<length])) == .incomplete, "\(length)") }
        #expect(HookMessage.read(bytes + [0]) == .invalid("more than was announced"))
    }

    @Test(arguments: [
        "GET / HTTP/1.1\n", "portcullis-hook 2 createRuntime 0 0 -\n", "portcullis-hook 1 start 0 0 -\n",
        "portcullis-hook 1 createRuntime -1 0 -\n", "portcullis-hook 1 createRuntime 0 99999999999999999999 -\n",
        "portcullis-hook 1 createRuntime 4194305 0 -\n", "portcullis-hook 1 createRuntime 0 0\n",
        "portcullis-hook 1 createRuntime 0 0 passwords\n", "portcullis-hook 1 createRuntime 0 0 - -\n",
        "portcullis-hook " + String(repeating: "x", count: 300),
    ])
    func nothingElseIsOne(text: String) {
        guard case .invalid = HookMessage.read(Array(text.utf8)) else {
            Issue.record("\(HookMessage.read(Array(text.utf8)))")
            return
        }
    }

    @Test(arguments: [.allow, .deny("no such set"), .configuration(Array("{\"a\":\n1}".utf8))] as [HookAnswer])
    func answersAreRead(answer: HookAnswer) throws {
        #expect(try HookAnswer.read(answer.bytes) == answer)
        for length in 0..<answer.bytes.count { #expect(try HookAnswer.read(Array(answer.bytes[..<length])) == nil) }
    }

    @Test func aReasonIsOneLine() throws {
        #expect(try HookAnswer.read(HookAnswer.deny("a\nallow\n").bytes) == .deny("a allow"))
    }

    @Test(arguments: ["yes\n", "allow \n", "configuration\n", "configuration -1\nx", "configuration 99999999999\nx"])
    func othersAreNone(text: String) {
        #expect(throws: HookFailure.self) { try HookAnswer.read(Array(text.utf8)) }
    }

    // MARK: - Options and what a hook finds by itself

    @Test func optionsAreUnderstood() throws {
        let options = try HookOptions([
            "createRuntime", "--socket", "/x", "--timeout", "3", "--on-timeout", "allow",
        ])
        #expect(options.stage == .createRuntime && options.socket == "/x")
        #expect(options.seconds == 3 && options.allowsOnTimeout)
        #expect(try !HookOptions(["poststop"]).allowsOnTimeout)
        for words in [
            [], ["start"], ["createRuntime", "--timeout"], ["createRuntime", "--timeout", "0"],
            ["createRuntime", "--on-timeout", "maybe"], ["createRuntime", "--quiet", "1"],
        ] { #expect(throws: HookFailure.self, "\(words)") { try HookOptions(words) } }
    }

    @Test(
        arguments: [
            #"{"a":{"bundle":"/no"}}"#, #"{"bundle":["/no"]}"#, #"{"bundle":"/x"#, "", "\"bundle\"", #"{"bundle":"x"}"#,
            #"{"bundle":"/x","bundle":"/y"}"#, #"{"x":"\"bundle\":\"/no\""}"#,
        ])
    func whatIsNoStateIsRefused(text: String) {
        #expect(throws: HookFailure.self) { try HookProgram.collect(.poststop, Array(text.utf8)) }
    }

    @Test func whatRunsIsReadOfItsRuntimesState() throws {
        func read(_ text: String) -> JSONText { JSONText(parsing: Array(text.utf8)) ?? .null }
        let runc = RunningContainers.Found(
            "web",
            runc: read(
                #"{"id":"web","init_process_pid":4711,"init_process_start":99,"config":{"init_process_pid":1,"labels":["bundle=/evil","a=b","bundle=/run/b"]}}"#
            ))
        #expect(runc == RunningContainers.Found(id: "web", process: 4711, startTime: 99, bundle: "/run/b"))
        let crun = RunningContainers.Found("c", crun: read("{\n  \"pid\" : 12 ,\n \"bundle\":\"/b\"}"))
        #expect(crun == RunningContainers.Found(id: "c", process: 12, startTime: 0, bundle: "/b"))
        for text in [
            #"{"pid":99999999999999999999,"bundle":"/b"}"#, #"{"pid":12}"#, #"{"pid":-1,"bundle":"/b"}"#, "[]",
        ] {
            #expect(RunningContainers.Found("c", crun: read(text)) == nil, "\(text)")
        }
        #expect(RunningContainers.Found("c", runc: read(#"{"init_process_pid":7,"labels":["bundle=/b"]}"#)) == nil)
        let odd = RunningContainers.Found(id: "a\"b", process: 7, startTime: 1, bundle: "/b\n")
        let state = try #require(JSONText(parsing: odd.state))
        #expect(state["id"]?.text == odd.id && state["bundle"]?.text == odd.bundle && state["pid"]?.unsigned == 7)
    }

    @Test func idsAreMappedOut() {
        let map = "         0       1001          1\n         1     100000      65536\n"
        #expect(IDMap.outside(0, map) == 1001)
        #expect(IDMap.outside(33, map) == 100_032)
        #expect(IDMap.outside(65_537, map) == nil)
        #expect(IDMap.outside(7, "0 0 4294967295\n") == 7)
        #expect(IDMap.outside(7, "") == nil)
    }

    @Test func podmansFilesAreBesideItsBundle() {
        let paths = EngineFiles.paths(bundle: "/var/lib/containers/storage/overlay-containers/0123/userdata")
        #expect(paths.first?.1 == "/var/lib/containers/storage/overlay-containers/containers.json")
        #expect(paths.last?.1 == "/run/libpod/events/events.log")
        #expect(EngineFiles.paths(bundle: "/run/containerd/io.containerd.runtime.v2.task/default/web").isEmpty)
    }
}

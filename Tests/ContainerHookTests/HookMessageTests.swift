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
            (#"{"id":"a","bundle":"/x/y"}"#, "/x/y"), (#"{"a":{"bundle":"/no"},"bundle" : "/x/\"y\\"}"#, "/x/\"y\\"),
            (#"{"a":["bundle","/no"],"b":"bundle","bundle":"/\/x"}"#, "//x"), (#"{"a":{"bundle":"/no"}}"#, nil),
            (#"{"bundle":["/no"]}"#, nil), (#"{"bundle":"/x"#, nil), (#"{"bundle":"#, nil), ("", nil),
            ("\"bundle\"", nil),
            (#"{"x":"\"bundle\":\"/no\"","bundle":"/yes"}"#, "/yes"),
        ] as [(String, String?)])
    func theBundleIsFound(text: String, bundle: String?) {
        #expect(StateText.string("bundle", in: Array(text.utf8)) == bundle)
    }

    @Test func whatRunsIsReadOfItsRuntimesState() {
        let runc = Array(
            #"{"id":"web","init_process_pid":4711,"init_process_start":99,"config":{"init_process_pid":1,"labels":["bundle=/evil","a=b","bundle=/run/b"]}}"#
                .utf8)
        #expect(StateText.number("init_process_pid", in: runc) == 4711)
        #expect(StateText.number("init_process_start", in: runc) == 99)
        #expect(StateText.lastString(after: "bundle=", in: runc) == "/run/b")
        let crun = Array("{\n  \"pid\" : 12 ,\n \"bundle\":\"/b\"}".utf8)
        #expect(StateText.number("pid", in: crun) == 12)
        #expect(StateText.number("bundle", in: crun) == nil && StateText.number("none", in: crun) == nil)
        #expect(StateText.lastString(after: "bundle=", in: crun) == nil)
        #expect(StateText.number("pid", in: Array(#"{"pid":99999999999999999999}"#.utf8)) == nil)
        #expect(StateText.number("pid", in: Array(#"{"pid"#.utf8)) == nil)
        let found = RunningContainers.Found(id: "web", process: 7, startTime: 1, bundle: "/b")
        #expect(StateText.string("bundle", in: found.state) == "/b" && StateText.number("pid", in: found.state) == 7)
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

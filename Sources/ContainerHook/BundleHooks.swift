import PlainJSON

/// Our hooks in the configuration of a container (OCI runtime specification, `hooks`).
struct BundleHooks {
    /// The program, an absolute path.
    var program: String
    /// Its options, behind the stage.
    var options: [String]

    private static let stages = [HookMessage.Stage.createRuntime, .poststop]

    /// A configuration with them behind whatever hooks it has; `nil` when it has them already.
    func adding(to configuration: [UInt8]) throws(HookFailure) -> [UInt8]? {
        guard case .object(var members)? = JSONText(parsing: configuration) else {
            throw HookFailure("the container's configuration is no JSON object")
        }
        var hooks: [String: JSONText]
        switch members["hooks"] {
        case nil, .null: hooks = [:]
        case .object(let present): hooks = present
        default: throw HookFailure("the container's configuration has hooks that are none")
        }
        var isChanged = false
        for stage in Self.stages {
            var list: [JSONText]
            switch hooks[stage.rawValue] {
            case nil, .null: list = []
            case .array(let present): list = present
            default: throw HookFailure("the container's configuration has hooks that are none")
            }
            let words = [program, stage.rawValue] + options
            let hook = JSONText.object(["path": .text(program), "args": .array(words.map { .text($0) })])
            guard !list.contains(hook) else { continue }
            list.append(hook)
            hooks[stage.rawValue] = .array(list)
            isChanged = true
        }
        members["hooks"] = .object(hooks)
        return isChanged ? Array(JSONText.object(members).written.utf8) : nil
    }
}

import Glibc
import LinuxKernel

/// Tells the agent of containers that run and of which no hook told: when it starts, and for as long as it runs, of those that start later.
struct ContainerFinder {
    private let options: HookOptions
    private let containers: RunningContainers
    /// Those that the agent knows, or does not want.
    private var told: Set<RunningContainers.Found> = []
    /// Between two looks.
    private static let pauseMicroseconds: UInt32 = 1_000_000

    init(_ options: HookOptions) {
        self.options = options
        containers = RunningContainers(
            places: options.places.isEmpty ? RunningContainers.usualPlaces : options.places)
    }

    /// Looks again and again; once only, if it was not asked to go on.
    mutating func run() -> Int32 {
        while true {
            let running = Set(containers.scan())
            told.formIntersection(running)
            var code: Int32 = 0
            for container in running.subtracting(told).sorted(by: { $0.id < $1.id }) where !tell(container) { code = 1 }
            guard options.goesOn else { return code }
            usleep(Self.pauseMicroseconds)
        }
    }

    /// Whether the agent holds it now, or has said why not.
    private mutating func tell(_ container: RunningContainers.Found) -> Bool {
        do {
            let (message, files) = try HookProgram.collect(.running, container.state)
            defer { for file in files { RawDescriptor.close(file) } }
            let answer = try HookProgram.ask(message, files, options)
            told.insert(container)
            guard case .deny(let reason) = answer else { return true }
            HookProgram.complain(reason)
            return false
        } catch {
            // An agent that is just being started again is asked later.
            if !options.goesOn { HookProgram.complain("\(error)") }
            return false
        }
    }
}

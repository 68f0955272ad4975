// swift-tools-version: 6.2
import PackageDescription

// PORTCULLIS_CORE=1 drops everything above `Telemetry`, so that the core builds in seconds and runs under sanitizers.
let coreOnly = Context.environment["PORTCULLIS_CORE"] == "1"

let swift: [SwiftSetting] = [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)]
let c: [CSetting] = [
    .define("_GNU_SOURCE"), .treatAllWarnings(as: .error), .enableWarning("all"), .enableWarning("extra"),
]

func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: swift)
}
func tests(of name: String, _ dependencies: [Target.Dependency] = [], exclude: [String] = []) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: [.byName(name: name)] + dependencies,
        exclude: exclude, swiftSettings: swift)
}
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

// C targets know the kernel, `LinuxKernel` and `EventRing` make them Swift, the engine is pure, enforcement joins
// them; nothing imports upward (`scripts/check-layering` proves it).
var targets: [Target] = [
    .target(name: "CEventRing", cSettings: c),
    .target(name: "CLinux", cSettings: c),
    .target(name: "CSeccomp", cSettings: c, linkerSettings: [.linkedLibrary("seccomp")]),
    .target(name: "CCapability", cSettings: c, linkerSettings: [.linkedLibrary("cap")]),
    .target(name: "CNetfilter", cSettings: c, linkerSettings: [.linkedLibrary("nftnl"), .linkedLibrary("mnl")]),
    module("LinuxKernel", ["CLinux", "CSeccomp", "CCapability", "CNetfilter"]),
    module("EventRing", ["CEventRing"]),
    module("PolicyModel"),
    module("PolicyFiles"),
    module("PolicyLoading", ["PolicyModel", "PolicyFiles", yams]),
    module("PolicyEngine", ["PolicyModel"]),
    module("Workloads", ["LinuxKernel", "PolicyModel"]),
    module("FileEnforcement", ["LinuxKernel", "EventRing", "PolicyEngine", "Workloads"]),
    module(
        "SyscallEnforcement",
        ["LinuxKernel", "EventRing", "PolicyEngine", "PolicyModel", "Workloads", "FileEnforcement"]),
    module("NetworkEnforcement", ["LinuxKernel", "EventRing", "PolicyEngine", "PolicyModel", "FileEnforcement"]),
    module("Telemetry", ["LinuxKernel", "EventRing"]),
    tests(of: "EventRing"),
    tests(of: "PolicyModel"),
    tests(of: "PolicyLoading", ["PolicyModel"]),
    tests(of: "PolicyEngine", ["PolicyModel"]),
    tests(of: "LinuxKernel"),
    tests(of: "Workloads", ["PolicyModel"]),
    tests(of: "FileEnforcement", ["PolicyEngine", "PolicyModel", "EventRing", "LinuxKernel"]),
    tests(of: "SyscallEnforcement", ["PolicyEngine", "PolicyModel", "EventRing", "LinuxKernel"], exclude: ["Golden"]),
    tests(of: "NetworkEnforcement", ["PolicyEngine", "PolicyModel", "LinuxKernel"], exclude: ["Golden"]),
    tests(of: "Telemetry", ["EventRing"], exclude: ["Golden"]),
]
// For Benchmarks/engine and FuzzTesting, which are packages of their own.
var products: [Product] = [
    .library(name: "PolicyEngine", targets: ["PolicyEngine", "PolicyModel"]),
    .library(name: "PolicyLoading", targets: ["PolicyLoading", "PolicyModel"]),
    .library(name: "LinuxKernel", targets: ["LinuxKernel"]),
]
if !coreOnly {
    targets += [
        module("ControlProtocol"),
        module("ControlJSON"),
        module("ClientSupport", ["ControlProtocol", "PolicyFiles"]),
        module("TreeLauncher", ["ClientSupport", "ControlProtocol", "LinuxKernel"]),
        module(
            "AgentCore",
            [
                "FileEnforcement", "SyscallEnforcement", "NetworkEnforcement", "PolicyEngine", "PolicyModel",
                "PolicyFiles", "ControlProtocol", "LinuxKernel", "EventRing", "Workloads",
            ]),
        module(
            "Agent",
            [
                "AgentCore", "FileEnforcement", "SyscallEnforcement", "NetworkEnforcement", "Telemetry",
                "PolicyLoading",
                "PolicyEngine", "PolicyModel", "ControlProtocol", "ControlJSON", "LinuxKernel", "EventRing",
                "Workloads", yams, argumentParser,
            ]),
        module(
            "CommandLineTool",
            [
                "ClientSupport", "ControlProtocol", "ControlJSON", "PolicyLoading", "PolicyEngine", "PolicyModel",
                "LinuxKernel", "Telemetry", "SyscallEnforcement", "NetworkEnforcement", argumentParser,
            ]),
        // Free of Foundation (scripts/check-layering): what the kernel waits for, and what stands before supervised programs.
        .executableTarget(name: "portcullis-core", dependencies: ["AgentCore"], swiftSettings: swift),
        .executableTarget(name: "portcullis-launch", dependencies: ["TreeLauncher"], swiftSettings: swift),
        .executableTarget(name: "portcullisd", dependencies: ["Agent"], swiftSettings: swift),
        .executableTarget(
            name: "portcullis-victim", path: "integration/victim", cSettings: c,
            linkerSettings: [.linkedLibrary("seccomp")]),
        .executableTarget(name: "portcullis", dependencies: ["CommandLineTool"], swiftSettings: swift),
        tests(of: "Agent", ["AgentCore", "ControlProtocol"]),
        tests(of: "CommandLineTool", ["ClientSupport", "ControlProtocol", "ControlJSON"]),
        tests(of: "TreeLauncher", ["ClientSupport", "ControlProtocol", "ControlJSON"]),
        .testTarget(
            name: "KernelTests", dependencies: ["LinuxKernel", "ControlProtocol", "ControlJSON"],
            swiftSettings: swift),
    ]
    products += [
        .executable(name: "portcullisd", targets: ["portcullisd"]),
        .executable(name: "portcullis-core", targets: ["portcullis-core"]),
        .executable(name: "portcullis-launch", targets: ["portcullis-launch"]),
        .executable(name: "portcullis", targets: ["portcullis"]),
    ]
}

let package = Package(
    name: "portcullis",
    products: products,
    dependencies: [
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    ],
    targets: targets
)

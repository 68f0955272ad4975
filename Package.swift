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
let grpcCore = Target.Dependency.product(name: "GRPCCore", package: "grpc-swift-2")
let grpcTransport = Target.Dependency.product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioTLS = Target.Dependency.product(name: "NIOTLS", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let x509 = Target.Dependency.product(name: "X509", package: "swift-certificates")
let asn1 = Target.Dependency.product(name: "SwiftASN1", package: "swift-asn1")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let jwt = Target.Dependency.product(name: "JWTKit", package: "jwt-kit")
let httpClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let nioFoundation = Target.Dependency.product(name: "NIOFoundationCompat", package: "swift-nio")

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
    module("EventSpool"),
    module("Telemetry", ["LinuxKernel", "EventRing", "EventSpool"]),
    tests(of: "EventRing"),
    tests(of: "PolicyModel"),
    tests(of: "PolicyLoading", ["PolicyModel"]),
    tests(of: "PolicyEngine", ["PolicyModel"]),
    tests(of: "LinuxKernel"),
    tests(of: "Workloads", ["PolicyModel"]),
    tests(of: "FileEnforcement", ["PolicyEngine", "PolicyModel", "EventRing", "LinuxKernel"]),
    tests(of: "SyscallEnforcement", ["PolicyEngine", "PolicyModel", "EventRing", "LinuxKernel"], exclude: ["Golden"]),
    tests(of: "NetworkEnforcement", ["PolicyEngine", "PolicyModel", "LinuxKernel"], exclude: ["Golden"]),
    tests(of: "EventSpool"),
    tests(of: "Telemetry", ["EventRing", "EventSpool"], exclude: ["Golden"]),
]
// For Benchmarks/engine and FuzzTesting, which are packages of their own.
var products: [Product] = [
    .library(name: "PolicyEngine", targets: ["PolicyEngine", "PolicyModel"]),
    .library(name: "PolicyLoading", targets: ["PolicyLoading", "PolicyModel"]),
    .library(name: "LinuxKernel", targets: ["LinuxKernel"]),
    .library(name: "EventSpool", targets: ["EventSpool"]),
]
if !coreOnly {
    targets += [
        module("ControlProtocol"),
        module("ControlJSON"),
        module("PlainJSON"),
        module("ContainerHook", ["LinuxKernel", "ControlProtocol", "PlainJSON"]),
        module("ClientSupport", ["ControlProtocol", "PolicyFiles"]),
        module("TreeLauncher", ["ClientSupport", "ControlProtocol", "LinuxKernel", "PlainJSON"]),
        module("GatewayProtocol"),
        module("ProtobufCoding", [grpcCore, protobuf]),
        // Generated from Protos/ (`make protos`).
        module("WireProtocol", ["ProtobufCoding", grpcCore, protobuf]),
        module(
            "RPCTransport",
            ["LinuxKernel", grpcCore, grpcTransport, nioCore, nioPosix, nioTLS, nioSSL, x509, crypto]),
        module("CertificateAuthority", ["RPCTransport", x509, crypto, asn1]),
        module("UserTokens", ["RPCTransport", jwt, httpClient, nioCore, nioFoundation, nioSSL]),
        module("AuditLog", [crypto]),
        module(
            "RPCServices",
            ["WireProtocol", "RPCTransport", "AuditLog", "EventSpool", "ProtobufCoding", grpcCore, protobuf, crypto]),
        module(
            "GatewayService",
            [
                "RPCServices", "RPCTransport", "WireProtocol", "GatewayProtocol", "ControlProtocol", "ControlJSON",
                "ClientSupport", "EventSpool", "AuditLog",
                "LinuxKernel", grpcCore, grpcTransport, protobuf, nioPosix,
            ]),
        .target(
            name: "RelayService",
            dependencies: [
                "RPCServices", "RPCTransport", "UserTokens", "WireProtocol", "ProtobufCoding", "EventSpool",
                "ClientSupport", "AuditLog", "LinuxKernel", grpcCore, grpcTransport, protobuf, nioPosix, grdb,
                hummingbird, lifecycle,
                logging, yams, argumentParser,
            ],
            // The page is part of the program.
            resources: [
                .embedInCode("Web/Assets/index.html"), .embedInCode("Web/Assets/app.js"),
                .embedInCode("Web/Assets/app.css"), .embedInCode("Web/Assets/icon.svg"),
            ], swiftSettings: swift),
        .executableTarget(name: "portcullis-relay", dependencies: ["RelayService"], swiftSettings: swift),
        .executableTarget(
            name: "relay-benchmark",
            dependencies: [
                "RPCServices", "RPCTransport", "WireProtocol", "EventSpool", "CertificateAuthority", "LinuxKernel",
                grpcCore, grpcTransport, nioPosix, protobuf,
            ], path: "Benchmarks/relay", swiftSettings: swift),
        .executableTarget(name: "portcullis-gateway", dependencies: ["GatewayService"], swiftSettings: swift),
        module(
            "AgentCore",
            [
                "FileEnforcement", "SyscallEnforcement", "NetworkEnforcement", "PolicyEngine", "PolicyModel",
                "PolicyFiles", "ControlProtocol", "GatewayProtocol", "LinuxKernel", "EventRing", "Workloads",
            ]),
        module(
            "Agent",
            [
                "AgentCore", "FileEnforcement", "SyscallEnforcement", "NetworkEnforcement", "Telemetry",
                "PolicyLoading",
                "PolicyEngine", "PolicyModel", "ControlProtocol", "ControlJSON", "ContainerHook", "EventSpool",
                "LinuxKernel",
                "EventRing",
                "Workloads", yams, argumentParser,
            ]),
        module(
            "CommandLineTool",
            [
                "CertificateAuthority", "RPCTransport", "WireProtocol", "AuditLog", grpcCore, grpcTransport, protobuf,
                "ClientSupport", "ControlProtocol", "ControlJSON", "PolicyLoading", "PolicyEngine", "PolicyModel",
                "LinuxKernel", "Telemetry", "SyscallEnforcement", "NetworkEnforcement", argumentParser,
            ]),
        // Free of Foundation (scripts/check-layering): what the kernel waits for, and what stands before supervised programs.
        .executableTarget(name: "portcullis-core", dependencies: ["AgentCore"], swiftSettings: swift),
        .executableTarget(name: "portcullis-launch", dependencies: ["TreeLauncher"], swiftSettings: swift),
        .executableTarget(name: "portcullisd", dependencies: ["Agent"], swiftSettings: swift),
        .executableTarget(name: "portcullis-hook", dependencies: ["ContainerHook"], swiftSettings: swift),
        .executableTarget(
            name: "portcullis-victim", path: "integration/victim", cSettings: c,
            linkerSettings: [.linkedLibrary("seccomp")]),
        .executableTarget(name: "portcullis", dependencies: ["CommandLineTool"], swiftSettings: swift),
        tests(of: "Agent", ["AgentCore", "ControlProtocol"]),
        tests(
            of: "RPCServices",
            [
                "RPCTransport", "WireProtocol", "EventSpool", "LinuxKernel", "CertificateAuthority", grpcCore,
                grpcTransport, nioPosix, protobuf, x509,
            ]),
        tests(
            of: "RelayService",
            [
                "RPCServices", "RPCTransport", "WireProtocol", "EventSpool", "LinuxKernel", "CertificateAuthority",
                "UserTokens", grpcCore,
                grpcTransport, nioPosix, protobuf, lifecycle, logging,
            ]),
        tests(of: "AuditLog"),
        tests(of: "PlainJSON"),
        tests(of: "ContainerHook", ["PlainJSON"]),
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
        .executable(name: "portcullis-relay", targets: ["portcullis-relay"]),
        .executable(name: "portcullis-gateway", targets: ["portcullis-gateway"]),
        .executable(name: "portcullis-hook", targets: ["portcullis-hook"]),
    ]
}

/// What speaks to others: gateway, relay, and the command line tool's way to them.
let networkPackages: [Package.Dependency] = [
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    // Without traits: its configuration files and its whole of Foundation are not needed.
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    // Without traits: what reads length-delimited streams would bring all of Foundation.
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: []),
    .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.3"),
    .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
    .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
    .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
]

let package = Package(
    name: "portcullis",
    products: products,
    dependencies: [
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    ] + (coreOnly ? [] : networkPackages),
    targets: targets
)

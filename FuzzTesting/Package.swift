// swift-tools-version: 6.2
import PackageDescription

// Built by scripts/fuzz, which instruments everything for libFuzzer and the address sanitizer; not part of the product.
let swift: [SwiftSetting] = [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)]

let package = Package(
    name: "fuzz-testing",
    dependencies: [.package(name: "portcullis", path: "..")],
    targets: [
        .target(name: "CLibFuzzer"),
        .executableTarget(
            name: "PolicyLoadingFuzz",
            dependencies: [
                "CLibFuzzer", .product(name: "PolicyLoading", package: "portcullis"),
                .product(name: "PolicyEngine", package: "portcullis"),
            ],
            swiftSettings: swift),
        .executableTarget(
            name: "PolicySnapshotFuzz",
            dependencies: ["CLibFuzzer", .product(name: "PolicyEngine", package: "portcullis")],
            swiftSettings: swift),
        .executableTarget(
            name: "NetlinkReplyFuzz",
            dependencies: ["CLibFuzzer", .product(name: "LinuxKernel", package: "portcullis")],
            swiftSettings: swift),
        .executableTarget(
            name: "DNSMessageFuzz",
            dependencies: ["CLibFuzzer", .product(name: "PolicyEngine", package: "portcullis")],
            swiftSettings: swift),
    ]
)

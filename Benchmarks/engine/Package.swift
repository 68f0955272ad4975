// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "engine-benchmark",
    dependencies: [.package(name: "portcullis", path: "../..")],
    targets: [
        .executableTarget(
            name: "engine-benchmark",
            dependencies: [.product(name: "PolicyEngine", package: "portcullis")],
            swiftSettings: [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)])
    ]
)

// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "spool-benchmark",
    dependencies: [
        .package(name: "portcullis", path: "../.."),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        .executableTarget(
            name: "spool-benchmark",
            dependencies: [
                .product(name: "EventSpool", package: "portcullis"), .product(name: "GRDB", package: "GRDB.swift"),
            ],
            swiftSettings: [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)])
    ]
)

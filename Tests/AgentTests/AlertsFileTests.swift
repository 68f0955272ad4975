import Foundation
import LinuxKernel
import Testing

@testable import Agent
@testable import AgentCore

@Suite struct AlertsFileTests {
    private let folder: String
    private var settings = AgentSettings()

    init() throws {
        folder = NSTemporaryDirectory() + "portcullis-alerts-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        settings.alertsPath = folder + "/alerts"
        settings.alertsRotateBytes = 100
    }

    private func write(_ text: String, _ descriptor: Int32) { _ = Glibc.write(descriptor, text, text.utf8.count) }

    private func files() throws -> [String: String] {
        try Dictionary(
            uniqueKeysWithValues: FileManager.default.contentsOfDirectory(atPath: folder).map {
                ($0, try String(contentsOfFile: "\(folder)/\($0)", encoding: .utf8))
            })
    }

    @Test(arguments: 1...3) func soManyFilesAreKept(kept: Int) throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var settings = settings
        settings.alertsKeep = kept
        var descriptor = try AlertsFile.open(settings)
        for number in 0..<5 {
            write("\(number)", descriptor)
            RawDescriptor.close(descriptor)
            descriptor = try AlertsFile.rotate(settings)
        }
        write("5", descriptor)
        RawDescriptor.close(descriptor)
        var expected = ["alerts": "5"]
        for number in 1...kept { expected["alerts.\(number)"] = "\(5 - number)" }
        #expect(try files() == expected)
    }

    @Test func anOpenFileIsContinued() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for text in ["a", "b"] {
            let descriptor = try AlertsFile.open(settings)
            write(text, descriptor)
            RawDescriptor.close(descriptor)
        }
        #expect(try files() == ["alerts": "ab"])
    }

    @Test func aFileThatSomebodyMovedIsNotMovedAgain() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let descriptor = try AlertsFile.open(settings)
        write("old", descriptor)
        rename(settings.alertsPath, settings.alertsPath + ".moved")
        let next = try AlertsFile.rotate(settings)
        write("new", next)
        RawDescriptor.close(descriptor)
        RawDescriptor.close(next)
        #expect(try files() == ["alerts.moved": "old", "alerts": "new"])
    }

    @Test func aSymbolicLinkIsNotFollowed() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createSymbolicLink(atPath: settings.alertsPath, withDestinationPath: folder + "/other")
        #expect(throws: KernelError.self) { try AlertsFile.open(settings) }
        #expect(try !FileManager.default.contentsOfDirectory(atPath: folder).contains("other"))
    }

    @Test func whatCannotBeMovedIsAnError() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        RawDescriptor.close(try AlertsFile.open(settings))
        // rename(2) of a file onto a folder that is not empty.
        try FileManager.default.createDirectory(
            atPath: folder + "/alerts.1/x", withIntermediateDirectories: true)
        var settings = settings
        settings.alertsKeep = 1
        #expect(throws: KernelError.self) { try AlertsFile.rotate(settings) }
        #expect(FileManager.default.fileExists(atPath: settings.alertsPath))
    }

    /// A front that asks without need must not push older alerts out.
    @Test func onlyAFullFileIsMoved() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let descriptor = try AlertsFile.open(settings)
        defer { RawDescriptor.close(descriptor) }
        #expect(!AlertsFile.isFull(descriptor, settings))
        write(String(repeating: "x", count: 49), descriptor)
        #expect(!AlertsFile.isFull(descriptor, settings))
        write("x", descriptor)
        #expect(AlertsFile.isFull(descriptor, settings))
        var unlimited = settings
        unlimited.alertsRotateBytes = 0
        #expect(!AlertsFile.isFull(descriptor, unlimited))
    }
}

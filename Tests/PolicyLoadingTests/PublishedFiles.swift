import Foundation

/// KubeArmor's published policies, beside the project.
enum PublishedFiles {
    static let shared: String = {
        if let path = ProcessInfo.processInfo.environment["PORTCULLIS_SHARED"] { return path }
        var url = URL(fileURLWithPath: #filePath)
        while url.path != "/" {
            url.deleteLastPathComponent()
            if FileManager.default.fileExists(atPath: url.appendingPathComponent("Package.swift").path) { break }
        }
        return url.deletingLastPathComponent().appendingPathComponent("shared").path
    }()
}

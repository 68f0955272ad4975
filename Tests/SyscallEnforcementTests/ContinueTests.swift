import Foundation
import Testing

/// A notification that is answered "continue" lets the kernel read the target's memory again. Whoever adds a place that does so
/// has to come here and say why it may.
@Suite("Continue")
struct ContinueTests {
    private static let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Sources")

    /// Files below `Sources` and how often each contains a text.
    private static func places(_ text: String) throws -> [String: Int] {
        var places: [String: Int] = [:]
        let files = FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil)
        while let file = files?.nextObject() as? URL {
            guard ["swift", "c", "h"].contains(file.pathExtension) else { continue }
            let count = try String(contentsOf: file, encoding: .utf8).components(separatedBy: text).count - 1
            if count > 0 { places[file.lastPathComponent] = count }
        }
        return places
    }

    @Test func itIsSentFromFewPlaces() throws {
        // The call thread: on registers; on a descriptor that nobody else can exchange; for an execution, which is stopped and compared; or
        // when the failure table says allow. The guardian, when the failure table says allow and nothing was read.
        #expect(try Self.places("SystemCallListener.proceed(") == ["CallLoop.swift": 4, "HeldCalls.swift": 1])
    }

    /// A broker that has read the caller's memory never says so.
    @Test func aDescriptorAloneIsDecidedOnInFewPlaces() throws {
        #expect(
            try Self.places(".proceed(.") == ["SocketBroker.swift": 3, "SendBroker.swift": 2])
    }

    @Test func theKernelIsToldSoInOneFunction() throws {
        #expect(try Self.places("pc_listener_respond(listener, id, 0, 0, 1)") == ["SystemCallListener.swift": 1])
        #expect(
            try Self.places("SECCOMP_USER_NOTIF_FLAG_CONTINUE").keys.sorted() == ["pc_listener.c", "pc_listener.h"])
    }
}

import Foundation
import Testing

/// What a scratch directory is mounted from.
enum Filesystem: String, CaseIterable, CustomTestStringConvertible {
    case tmpfs
    /// ext4 in a file.
    case ext4
    /// An overlay whose lower layer holds the files, so that the first write copies them up.
    case overlay

    var testDescription: String { rawValue }

    static var allCases: [Filesystem] { Effort.isReduced ? [.tmpfs, .overlay] : [.tmpfs, .ext4, .overlay] }

    /// Mounts it.
    ///
    /// - Parameters:
    ///   - support: directory for the image or the layers.
    ///   - populate: puts the files below a directory.
    func mount(at root: String, support: String, populate: (String) throws -> Void) throws {
        switch self {
        case .tmpfs:
            try Self.mountTmpfs(at: root)
            try populate(root)
        case .ext4:
            let image = support + "/image"
            try Shell.check("truncate", "-s", "64M", image)
            try Shell.check("mkfs.ext4", "-q", "-F", image)
            try Shell.check("mount", "-o", "loop", image, root)
            try populate(root)
        case .overlay:
            let layers = support + "/layers"
            try FileManager.default.createDirectory(atPath: layers, withIntermediateDirectories: true)
            try Self.mountTmpfs(at: layers)
            for name in ["lower", "upper", "work"] { mkdir("\(layers)/\(name)", 0o755) }
            try populate(layers + "/lower")
            try Shell.check(
                "mount", "-t", "overlay", "portcullis-test", "-o",
                "lowerdir=\(layers)/lower,upperdir=\(layers)/upper,workdir=\(layers)/work", root)
        }
    }

    static func mountTmpfs(at path: String) throws {
        guard Glibc.mount("portcullis-test", path, "tmpfs", 0, "size=64m") == 0 else {
            throw ScratchError(text: "mount a tmpfs: \(String(cString: strerror(errno)))")
        }
    }
}

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
            for name in ["lower", "upper", "work"] { try Shell.check("mkdir", "\(layers)/\(name)") }
            try populate(layers + "/lower")
            try Shell.check(
                "mount", "-t", "overlay", "portcullis-test", "-o",
                "lowerdir=\(layers)/lower,upperdir=\(layers)/upper,workdir=\(layers)/work", root)
        }
    }

    static func mountTmpfs(at path: String) throws {
        try Shell.check("mount", "-t", "tmpfs", "-o", "size=64m", "portcullis-test", path)
    }
}

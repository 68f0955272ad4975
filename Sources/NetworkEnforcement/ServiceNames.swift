import LinuxKernel

/// Names of ports, from a file in the form of services(5). No name service is asked: a static program could not load it.
enum ServiceNames {
    /// Bytes of such a file at most; Debian's has 13 kB.
    private static let fileLimit = 1 << 20

    /// The port of a service, by its name or another one of it.
    static func port(of name: String, _ protocolName: String, inFile path: String = "/etc/services") -> UInt16? {
        guard let bytes = try? PathOpening.read(path, limit: fileLimit) else { return nil }
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            let code = line.prefix { $0 != UInt8(ascii: "#") }
            let words = code.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
            guard words.count >= 2 else { continue }
            let parts = words[1].split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
            guard parts.count == 2, parts[1].elementsEqual(protocolName.utf8),
                ([words[0]] + words[2...]).contains(where: { $0.elementsEqual(name.utf8) })
            else { continue }
            return UInt16(String(decoding: parts[0], as: UTF8.self)).flatMap { $0 > 0 ? $0 : nil }
        }
        return nil
    }
}

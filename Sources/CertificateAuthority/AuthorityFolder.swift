import Foundation
import Glibc
import RPCTransport
import SwiftASN1
import X509

/// The folder of an authority: `ca.crt`, `ca.key`, and the certificates and keys it issued.
package struct AuthorityFolder {
    /// Where it is.
    package let path: String

    /// Names a folder.
    package init(_ path: String) { self.path = path }

    /// Makes an authority in an empty or missing folder.
    ///
    /// - Returns: the paths that were written.
    package func create(trustDomain: String, lifetime: TimeInterval) throws -> [String] {
        for name in ["ca.crt", "ca.key"] where FileManager.default.fileExists(atPath: file(name)) {
            throw CredentialProblem(description: "\(file(name)) is there already")
        }
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let made = try CertificateAuthority.make(trustDomain: trustDomain, lifetime: lifetime)
        try write(made.issued.key, "ca.key", mode: 0o600)
        try write(made.issued.certificate, "ca.crt", mode: 0o644)
        return [file("ca.crt"), file("ca.key")]
    }

    /// The authority.
    package func authority() throws -> CertificateAuthority {
        try CertificateAuthority(certificate: text("ca.crt"), key: text("ca.key"))
    }

    /// Issues a certificate into `NAME.crt` and `NAME.key`, which are replaced when they are there.
    package func issue(_ request: CertificateAuthority.Request, as name: String) throws -> (paths: [String], Date) {
        guard PeerIdentity.isName(name), name != "ca" else {
            throw CredentialProblem(description: "'\(name)' is no name for a certificate's files")
        }
        let issued = try authority().issue(request)
        try write(issued.key, name + ".key", mode: 0o600)
        try write(issued.certificate, name + ".crt", mode: 0o644)
        return ([file(name + ".crt"), file(name + ".key")], issued.notAfter)
    }

    /// Issues certificates again, with new keys.
    ///
    /// - Parameters:
    ///   - names: which; all in the folder when empty.
    ///   - elapsed: only those of whose time at least this share has gone by; 0 for all.
    /// - Returns: a line for each certificate.
    package func rotate(_ names: [String], elapsed: Double, now: Date = Date()) throws -> [String] {
        let all = names.isEmpty ? try certificates() : names
        var lines: [String] = []
        for name in all {
            let pem = try text(name + ".crt")
            let certificate = try Certificate(pemEncoded: pem)
            let span = certificate.notValidAfter.timeIntervalSince(certificate.notValidBefore)
            guard now.timeIntervalSince(certificate.notValidBefore) >= span * elapsed else { continue }
            let request = try CertificateAuthority.request(of: pem)
            let (_, end) = try issue(request, as: name)
            lines.append("\(request.identity) until \(end.formatted(.iso8601))")
        }
        return lines
    }

    /// Makes another key for the authority, and has the certificates of the one before trusted until they have ended. Whoever is to
    /// trust certificates that are issued from now on needs the new `ca.crt` before.
    package func rotateAuthority(lifetime: TimeInterval, now: Date = Date()) throws -> [String] {
        let before = try text("ca.crt")
        let made = try CertificateAuthority.make(trustDomain: authority().trustDomain, lifetime: lifetime, now: now)
        let old = try PEMDocument.parseMultiple(pemString: before).filter {
            try Certificate(pemDocument: $0).notValidAfter > now
        }
        try write(made.issued.key, "ca.key", mode: 0o600)
        let texts = [made.issued.certificate] + old.map(\.pemString)
        try write(texts.joined(separator: "\n") + "\n", "ca.crt", mode: 0o644)
        return [file("ca.crt"), file("ca.key")]
    }

    /// Names of the certificates in the folder, the authority's own left out.
    package func certificates() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(".crt") && $0 != "ca.crt" }
            .map { String($0.dropLast(4)) }.sorted()
    }

    // MARK: - Files

    private func file(_ name: String) -> String { path + "/" + name }

    private func text(_ name: String) throws -> String {
        do { return try String(contentsOfFile: file(name), encoding: .utf8) } catch {
            throw CredentialProblem(description: "\(file(name)): cannot be read")
        }
    }

    /// Written whole or not at all, and never readable by more than `mode` says.
    private func write(_ text: String, _ name: String, mode: mode_t) throws {
        let fresh = file("." + name + ".new")
        unlink(fresh)
        let descriptor = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
        guard descriptor >= 0 else { throw problem(name) }
        defer { close(descriptor) }
        let bytes = Array((text.hasSuffix("\n") ? text : text + "\n").utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count, fchmod(descriptor, mode) == 0,
            fsync(descriptor) == 0, rename(fresh, file(name)) == 0
        else { throw problem(name) }
    }

    private func problem(_ name: String) -> CredentialProblem {
        CredentialProblem(description: "\(file(name)): \(String(cString: strerror(errno)))")
    }
}

import AsyncHTTPClient
import Foundation
import NIOCore
import NIOFoundationCompat
import NIOSSL

/// The key set that there is: read from a file or an https server, again and again. A set that cannot be had or read changes nothing.
package actor KeyStore {
    private let settings: TokenSettings
    /// How a server is asked; `nil` for a file.
    private let remote: HTTPClient.Configuration?
    private let group: any EventLoopGroup
    /// Made when it is needed first: one that was made has to be shut down.
    private var client: HTTPClient?
    private var isClosed = false
    private let report: @Sendable (String) -> Void
    private var current: KeySet?
    private var last: ContinuousClock.Instant?
    private var running: Task<Void, Never>?
    /// What was reported last, to say everything once.
    private var said = ""

    /// How often the set is looked at, and how soon again for the sake of a key that is not in it.
    private let interval: Duration
    private let shortest: Duration

    /// - Parameters:
    ///   - report: told when the set has changed, or cannot be had.
    ///   - interval: between two looks; `nil` for 10 seconds of a file and 5 minutes of a server.
    package init(
        _ settings: TokenSettings, group: any EventLoopGroup, interval: Duration? = nil, shortest: Duration? = nil,
        report: @escaping @Sendable (String) -> Void
    ) throws(TokenProblem) {
        self.settings = settings
        self.report = report
        let isRemote = settings.keys.hasPrefix("https://")
        self.interval = interval ?? (isRemote ? .seconds(300) : .seconds(10))
        self.shortest = shortest ?? (isRemote ? .seconds(30) : .seconds(1))
        self.group = group
        remote = isRemote ? try Self.configuration(settings) : nil
    }

    private static func configuration(_ settings: TokenSettings) throws(TokenProblem) -> HTTPClient.Configuration {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.minimumTLSVersion = .tlsv12
        if !settings.keysAuthority.isEmpty {
            do {
                let roots = try NIOSSLCertificate.fromPEMFile(settings.keysAuthority)
                guard !roots.isEmpty else { throw TokenProblem("no certificate") }
                tls.trustRoots = .certificates(roots)
            } catch { throw TokenProblem("\(settings.keysAuthority): not PEM certificates") }
        }
        var configuration = HTTPClient.Configuration(
            tlsConfiguration: tls, redirectConfiguration: .disallow,
            timeout: HTTPClient.Configuration.Timeout(connect: .seconds(10), read: .seconds(10)))
        configuration.httpVersion = .http1Only
        return configuration
    }

    /// Looks at the set until cancelled, then lets go of the client.
    package func run() async {
        while !Task.isCancelled {
            await refresh()
            try? await Task.sleep(for: interval)
        }
        isClosed = true
        await running?.value
        try? await client?.shutdown()
        client = nil
    }

    /// The key of a `kid`, or the only one for `nil`. For a key that is not there the set is had again, but not for everybody who asks.
    func key(_ kid: String?) async -> KeySet.Key? {
        if let found = find(kid) { return found }
        if last.map({ ContinuousClock.now - $0 < shortest }) == true, running == nil { return nil }
        await refresh()
        return find(kid)
    }

    private func find(_ kid: String?) -> KeySet.Key? {
        guard let current else { return nil }
        guard let kid else { return current.keys.count == 1 ? current.keys.values.first : nil }
        return current.keys[kid]
    }

    /// Has the set once, however many ask for it.
    package func refresh() async {
        if let running { return await running.value }
        last = ContinuousClock.now
        let task = Task { await take() }
        running = task
        await task.value
        running = nil
    }

    private func take() async {
        do {
            let set = try await KeySet.parse(try await load())
            let kids = Set(set.keys.keys)
            let isOther = current.map { Set($0.keys.keys) != kids } ?? true
            current = set
            if isOther || !said.isEmpty { report("\(set.keys.count) keys for tokens, \(set.ignored) left out") }
            said = ""
        } catch {
            let text = "\(settings.keys): \(error)" + (current == nil ? "" : "; the keys stay as they are")
            if text != said { report(text) }
            said = text
        }
    }

    private func load() async throws(TokenProblem) -> Data {
        guard let remote else {
            guard let handle = FileHandle(forReadingAtPath: settings.keys) else { throw TokenProblem("cannot be read") }
            defer { try? handle.close() }
            // One byte more than there may be, so that too much is seen as too much.
            do { return try handle.read(upToCount: KeySet.limit + 1) ?? Data() } catch {
                throw TokenProblem("cannot be read")
            }
        }
        guard !isClosed else { throw TokenProblem("nothing is asked any more") }
        let client = client ?? HTTPClient(eventLoopGroupProvider: .shared(group), configuration: remote)
        self.client = client
        do {
            let response = try await client.execute(
                HTTPClientRequest(url: settings.keys), timeout: .seconds(20))
            guard response.status == .ok else { throw TokenProblem("status \(response.status.code)") }
            return Data(buffer: try await response.body.collect(upTo: KeySet.limit))
        } catch let problem as TokenProblem {
            throw problem
        } catch { throw TokenProblem("cannot be had: \(error)") }
    }
}

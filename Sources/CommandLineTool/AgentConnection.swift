import ClientSupport
import ControlJSON
import ControlProtocol

/// One request to the agent and its answers.
struct AgentConnection {
    private let connection: ControlConnection

    /// Connects and sends the request.
    ///
    /// - Parameter seconds: for connecting, sending and the whole of the answer; `nil` waits for answers without an end.
    init(to socket: String, _ request: ControlRequest, seconds: Int?) throws(ControlConnection.Failure) {
        guard let line = try? ControlCoding.encode(request) else { throw .garbled }
        connection = try ControlConnection(to: socket, line, seconds: seconds)
    }

    /// The next answer.
    func next() throws(ControlConnection.Failure) -> ControlResponse {
        let line = try connection.next()
        guard let response = try? ControlCoding.decode(ControlResponse.self, line) else { throw .garbled }
        return response
    }

    /// Asks and takes one answer.
    ///
    /// - Throws: also when the agent answers that it did not do it or that this user may not ask.
    static func ask(_ request: ControlRequest, at socket: String, seconds: Int = 5) throws(ToolFailure)
        -> ControlResponse
    {
        let response: ControlResponse
        do { response = try AgentConnection(to: socket, request, seconds: seconds).next() } catch {
            throw error.failure(socket)
        }
        return try accepted(response)
    }

    /// An answer other than a refusal.
    static func accepted(_ response: ControlResponse) throws(ToolFailure) -> ControlResponse {
        switch response {
        case .failed(let messages): throw ToolFailure(messages)
        case .notPermitted(let message): throw ToolFailure(message, code: .notPermitted)
        default: return response
        }
    }
}

import GRPCCore

/// Gives every request of ours a number, the one of the request that it is made for if there is one.
package struct RequestNumbering: ClientInterceptor {
    private let report: @Sendable (_ method: String, _ number: String) -> Void

    /// - Parameter report: told of each, before it goes out.
    package init(report: @escaping @Sendable (_ method: String, _ number: String) -> Void = { _, _ in }) {
        self.report = report
    }

    package func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingClientRequest<Input>, context: ClientContext,
        next: (StreamingClientRequest<Input>, ClientContext) async throws -> StreamingClientResponse<Output>
    ) async throws -> StreamingClientResponse<Output> {
        var request = request
        let number = CurrentRequest.id ?? RequestNumber.make()
        request.metadata.addString(number, forKey: AuthorizationInterceptor.requestIDKey)
        report(context.descriptor.fullyQualifiedMethod, number)
        return try await next(request, context)
    }
}

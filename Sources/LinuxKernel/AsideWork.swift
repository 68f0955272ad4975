import Synchronization

/// Work on a thread of its own, which is then gone: for what a thread can enter and never leave again.
enum AsideWork {
    private final class Box<Value>: @unchecked Sendable {
        // Unchecked: written by the one thread, read after it was joined.
        var result: Result<Value, KernelError>?
    }

    private struct Body<Value>: @unchecked Sendable {
        // Unchecked: the caller waits until it has run.
        var run: () throws(KernelError) -> Value
    }

    /// Runs `body` and waits for it.
    static func run<Value>(
        name: String, _ body: () throws(KernelError) -> Value
    ) throws(KernelError) -> Value {
        let box = Box<Value>()
        try withoutActuallyEscaping(body) { escaping throws(KernelError) in
            let work = Body(run: escaping)
            let thread = try KernelThread.start(name: name) {
                do throws(KernelError) { box.result = .success(try work.run()) } catch { box.result = .failure(error) }
            }
            thread.join()
        }
        guard let result = box.result else { throw KernelError("pthread_join", errno: 3) }
        return try result.get()
    }

    private final class Post<Value: Sendable>: Sendable {
        let result = Mutex<Result<Value, KernelError>?>(nil)
        let done: EventDescriptor

        init() throws(KernelError) { done = try EventDescriptor() }
    }

    /// Runs `body`, and waits for it for a time; then the thread is left to itself, as it may hang in a file system that does not answer.
    ///
    /// - Throws: ETIMEDOUT when it takes longer; what it gives in the end is lost.
    static func run<Value: Sendable>(
        name: String, withinMilliseconds limit: Int32, _ body: @escaping @Sendable () throws(KernelError) -> Value
    ) throws(KernelError) -> Value {
        let post = try Post<Value>()
        let thread = try KernelThread.start(name: name) {
            let result: Result<Value, KernelError>
            do throws(KernelError) { result = .success(try body()) } catch { result = .failure(error) }
            post.result.withLock { $0 = result }
            post.done.signal()
        }
        thread.detach()
        Readiness.wait(post.done.descriptor.raw, timeoutMilliseconds: limit)
        guard let result = post.result.withLock({ $0 }) else { throw KernelError("wait for a file system", errno: 110) }
        return try result.get()
    }
}

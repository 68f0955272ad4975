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
}

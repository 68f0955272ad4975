import Glibc

/// Writes to a descriptor of any kind without being held up by its reader and without being killed by SIGPIPE.
struct DescriptorWriter: Sendable {
    private enum Kind: Sendable {
        case file, pipe, socket, terminal
    }

    /// Bytes that a descriptor which says it is writable takes at once: PIPE_BUF for pipes (pipe(7)), less for terminals.
    private var chunk: Int {
        switch kind {
        case .file, .socket: .max
        case .pipe: 4096
        case .terminal: 512
        }
    }

    let descriptor: Int32
    private let kind: Kind
    /// Size of the file when it was opened; 0 for everything that is no regular file.
    let initialSize: UInt64

    /// Looks at what `descriptor` is; the caller keeps owning it.
    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        var status = stat()
        let mode = fstat(descriptor, &status) == 0 ? status.st_mode & S_IFMT : 0
        switch mode {
        case S_IFREG: kind = .file
        case S_IFIFO: kind = .pipe
        case S_IFSOCK: kind = .socket
        default: kind = .terminal
        }
        initialSize = mode == S_IFREG ? UInt64(max(0, status.st_size)) : 0
    }

    /// Writes `bytes` from `offset` on.
    ///
    /// - Parameter patience: milliseconds to wait in total for a reader.
    /// - Returns: how many bytes of the buffer are out now, and the errno that stopped it (0 when all are out).
    func write(_ bytes: [UInt8], from offset: Int, patience: Int32) -> (offset: Int, error: Int32) {
        var offset = offset
        var patience = patience
        // Files never make a writer wait. A blocking pipe does, unless poll(2) is asked first.
        var mustAsk = kind == .pipe || kind == .terminal
        while offset < bytes.count {
            if mustAsk {
                let code = waitUntilWritable(&patience)
                if code != 0 { return (offset, code) }
            }
            let (count, code) = writeOnce(bytes, offset, min(bytes.count - offset, chunk))
            if count > 0 {
                offset += count
            } else if count == 0 {
                return (offset, EIO)
            } else if code == EAGAIN {
                // When poll said yes, another writer was faster; a millisecond less bounds the number of such rounds.
                if mustAsk {
                    if patience <= 0 { return (offset, EAGAIN) }
                    patience -= 1
                }
                mustAsk = true
            } else if code != EINTR {
                return (offset, code)
            }
        }
        return (offset, 0)
    }

    /// Returns 0 when the next write will not wait, else the errno; takes the time it used from `patience`.
    private func waitUntilWritable(_ patience: inout Int32) -> Int32 {
        while true {
            let start = TelemetryClock.system.monotonic()
            var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            let ready = poll(&request, 1, max(0, patience))
            let code = errno
            let used = Int32(clamping: (TelemetryClock.system.monotonic() - start) / 1_000_000)
            if ready > 0 {
                patience -= min(used, max(0, patience))
                return 0
            }
            if ready == 0 || patience <= 0 { return EAGAIN }
            if code != EINTR { return code }
            // At least one, so that a stream of signals cannot stretch the wait without end.
            patience -= min(max(1, used), patience)
        }
    }

    private func writeOnce(_ bytes: [UInt8], _ offset: Int, _ length: Int) -> (count: Int, code: Int32) {
        bytes.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress else { return (0, 0) }
            switch kind {
            case .socket:
                let count = send(
                    descriptor, base + offset, length, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
                return (count, errno)
            case .pipe: return writeWithoutSignal(base + offset, length)
            case .file, .terminal:
                let count = Glibc.write(descriptor, base + offset, length)
                return (count, errno)
            }
        }
    }

    /// write(2) to a pipe without readers raises SIGPIPE in this thread; it is held back and taken away again, because the
    /// process's disposition is not ours to change.
    private func writeWithoutSignal(_ base: UnsafeRawPointer, _ length: Int) -> (count: Int, code: Int32) {
        var pipeSignal = sigset_t()
        var before = sigset_t()
        var pending = sigset_t()
        sigemptyset(&pipeSignal)
        sigaddset(&pipeSignal, SIGPIPE)
        sigpending(&pending)
        pthread_sigmask(SIG_BLOCK, &pipeSignal, &before)
        let count = Glibc.write(descriptor, base, length)
        let code = errno
        if count < 0, code == EPIPE, sigismember(&pending, SIGPIPE) == 0 {
            var now = timespec()
            while sigtimedwait(&pipeSignal, nil, &now) < 0, errno == EINTR {}
        }
        pthread_sigmask(SIG_SETMASK, &before, nil)
        return (count, code)
    }
}

import Glibc

/// Memory that nobody writes again, for what the kernel reads at its leisure (MSG_ZEROCOPY): it keeps the pages, and they are given back here.
public enum FreshPages {
    /// Calls `body` with a copy of `bytes`; -ENOMEM without memory.
    public static func with(copyOf bytes: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Int) -> Int {
        guard !bytes.isEmpty else { return body(bytes) }
        let start = mmap(nil, bytes.count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let start, start != MAP_FAILED else { return -Int(ENOMEM) }
        defer { munmap(start, bytes.count) }
        let copy = UnsafeMutableRawBufferPointer(start: start, count: bytes.count)
        copy.copyMemory(from: bytes)
        return body(UnsafeRawBufferPointer(copy))
    }
}

import LinuxKernel

/// The two times of a call, copied from the caller's memory in whatever form the call has them.
struct CallTimes {
    /// Seconds and nanoseconds of access, then of change; `nil` means now.
    private var values: InlineArray<4, Int64>?

    /// Nothing read yet.
    init() {}

    /// Copies them: 0 or a negated errno.
    mutating func read(_ call: PathCall, _ thread: Int32) -> Int32 {
        guard call.valueAddress != 0 else { return 0 }
        var words = InlineArray<4, Int64>(repeating: 0)
        let (count, isWide): (Int, Bool)
        switch call.timeLayout {
        case .timespec(let wide), .timeval(let wide): (count, isWide) = (4, wide)
        case .utimbuf(let wide): (count, isWide) = (2, wide)
        }
        var result: Int32
        if isWide {
            result = withUnsafeMutableBytes(of: &words) {
                ThreadMemory.read(
                    thread, at: call.valueAddress, into: UnsafeMutableRawBufferPointer(rebasing: $0[..<(count * 8)]))
            }
        } else {
            var narrow = InlineArray<4, Int32>(repeating: 0)
            result = withUnsafeMutableBytes(of: &narrow) {
                ThreadMemory.read(
                    thread, at: call.valueAddress, into: UnsafeMutableRawBufferPointer(rebasing: $0[..<(count * 4)]))
            }
            for index in 0..<count { words[index] = Int64(narrow[index]) }
        }
        switch call.timeLayout {
        case .timespec: break
        case .timeval:
            // utimes(2)
            for index in [1, 3] {
                if words[index] < 0 || words[index] >= 1_000_000 { result = result == 0 ? -22 : result }
                words[index] &*= 1000
            }
        case .utimbuf: (words[2], words[1], words[3]) = (words[1], 0, 0)
        }
        values = words
        return result
    }

    /// utimensat(2).
    func apply(to object: Int32) -> Int32 {
        guard let values else { return ObjectCalls.setTimes(object, nil) }
        return withUnsafeBytes(of: values) { bytes in
            ObjectCalls.setTimes(object, bytes.bindMemory(to: Int64.self).baseAddress)
        }
    }
}

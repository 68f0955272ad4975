import CLinux

/// A system call that failed.
public struct KernelError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The call, as its manual page is named.
    public let call: StaticString
    /// errno(3), positive.
    public let errno: Int32

    /// An error of `call` with a positive errno.
    public init(_ call: StaticString, errno: Int32) {
        self.call = call
        self.errno = errno
    }

    /// "fanotify_init: Operation not permitted".
    public var description: String { "\(call): \(Self.message(errno))" }

    /// Compares the call's name by content.
    public static func == (left: KernelError, right: KernelError) -> Bool {
        left.errno == right.errno && left.call.description == right.call.description
    }

    /// strerror_r(3) of a positive errno.
    public static func message(_ errno: Int32) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            guard let base = buffer.baseAddress, pc_error_message(errno, base, UInt32(buffer.count)) == 0 else {
                return "errno \(errno)"
            }
            return String(cString: base)
        }
    }

    /// Passes a result through, or throws if it is a negated errno.
    @discardableResult
    @inline(__always)
    package static func check(_ call: StaticString, _ result: Int32) throws(KernelError) -> Int32 {
        if result < 0 { throw KernelError(call, errno: -result) }
        return result
    }

    /// Passes a length through, or throws if it is a negated errno.
    @discardableResult
    @inline(__always)
    package static func check(_ call: StaticString, _ result: Int) throws(KernelError) -> Int {
        if result < 0 { throw KernelError(call, errno: Int32(-result)) }
        return result
    }
}

import Glibc
import LinuxKernel

/// What goes with a message besides its data (cmsg(3)), taken over from a thread that waits and put into the form in which it can be sent in its
/// name: descriptors are copied, and the credentials are the thread's own. Holds buffers only; allocated once.
struct AncillaryData {
    /// More is refused, as the kernel refuses what is more than `net.core.optmem_max`.
    private static let limit = 16384
    /// `SCM_MAX_FD`.
    private static let descriptorLimit = 253
    private static let (socketLevel, rights, credentials): (Int32, Int32, Int32) = (1, 1, 2)

    private let source = UnsafeMutableRawBufferPointer.allocate(byteCount: limit, alignment: 8)
    // A header of the 32-bit form grows by a third.
    private let result = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 * limit, alignment: 8)
    private var length = 0
    private let descriptors = UnsafeMutablePointer<Int32>.allocate(capacity: descriptorLimit)
    private var descriptorCount = 0

    /// What is to be sent.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: result[..<length]) }

    /// The size of datagrams that a message is to be cut into (UDP_SEGMENT); `nil` without.
    private(set) var segment: UInt16?

    /// Who sends, and what it may say of itself.
    struct Sender {
        /// The credentials can be given as the thread's; otherwise they are ours, who are the same user.
        var isNamed: Bool
        /// The thread's user namespace is ours.
        var honoursCapabilities: Bool
        var thread: Int32
    }

    /// Takes the data of a message over: 0 or a negated errno. `close` is next either way.
    mutating func take(
        _ header: MessageHeader, of sender: Sender, _ caller: borrowing FileCredentials, to kind: SocketKind,
        isWide: Bool
    ) -> Int32 {
        (length, descriptorCount, segment) = (0, 0, nil)
        var names = false
        if header.control != 0, header.controlLength > 0 {
            guard header.controlLength <= UInt64(Self.limit) else { return -ENOBUFS }
            let count = Int(header.controlLength)
            var error = ThreadMemory.read(
                sender.thread, at: header.control, into: UnsafeMutableRawBufferPointer(rebasing: source[..<count]))
            if error == 0 { error = convert(count, sender, caller, kind, isWide, &names) }
            guard error == 0 else { return error }
        }
        if !names { addCredentials(sender, caller, kind) }
        return 0
    }

    /// Gives the copies of descriptors back.
    mutating func close() {
        for index in 0..<descriptorCount { RawDescriptor.close(descriptors[index]) }
        descriptorCount = 0
    }

    private mutating func convert(
        _ count: Int, _ sender: Sender, _ caller: borrowing FileCredentials, _ kind: SocketKind, _ isWide: Bool,
        _ names: inout Bool
    ) -> Int32 {
        let (headerLength, alignment) = isWide ? (16, 8) : (12, 4)
        let words = MessageWords(UnsafeRawBufferPointer(source), isWide: isWide)
        var at = 0
        while at + headerLength <= count {
            let size = words.word(at)
            guard size >= UInt64(headerLength), size <= UInt64(count - at) else { return -EINVAL }
            let level = Int32(bitPattern: words.half(at + headerLength - 8))
            let type = Int32(bitPattern: words.half(at + headerLength - 4))
            let data = UnsafeRawBufferPointer(rebasing: source[(at + headerLength)..<(at + Int(size))])
            var error: Int32 = 0
            if level == Self.socketLevel, type == Self.rights, kind.isUnix {
                error = addDescriptors(data, sender, caller)
            } else if level == Self.socketLevel, type == Self.credentials,
                kind.isUnix || kind.domain == SocketKind.netlinkDomain
            {
                error = check(data, sender, caller)
                if error == 0 { addCredentials(data, sender, caller, kind) }
                names = true
            } else {
                if level == 17, type == 103, data.count == 2 { segment = data.loadUnaligned(as: UInt16.self) }
                add(level, type, data)
            }
            guard error == 0 else { return error }
            at += (Int(size) + alignment - 1) & ~(alignment - 1)
        }
        return 0
    }

    private mutating func add(_ level: Int32, _ type: Int32, _ data: UnsafeRawBufferPointer) {
        result.storeBytes(of: UInt64(16 + data.count), toByteOffset: length, as: UInt64.self)
        result.storeBytes(of: level, toByteOffset: length + 8, as: Int32.self)
        result.storeBytes(of: type, toByteOffset: length + 12, as: Int32.self)
        UnsafeMutableRawBufferPointer(rebasing: result[(length + 16)...]).copyMemory(from: data)
        length += (16 + data.count + 7) & ~7
    }

    // MARK: - Descriptors

    /// The receiver gets what the sender has open, as it would from the sender itself.
    private mutating func addDescriptors(
        _ data: UnsafeRawBufferPointer, _ sender: Sender, _ caller: borrowing FileCredentials
    ) -> Int32 {
        let first = descriptorCount
        for index in 0..<(data.count / 4) {
            guard descriptorCount < Self.descriptorLimit else { return -EINVAL }
            let number = data.loadUnaligned(fromByteOffset: 4 * index, as: Int32.self)
            let copy = SocketCalls.copy(number, of: caller.process, thread: sender.thread)
            guard copy >= 0 else { return copy }
            descriptors[descriptorCount] = copy
            descriptorCount += 1
        }
        add(
            Self.socketLevel, Self.rights,
            UnsafeRawBufferPointer(start: descriptors + first, count: 4 * (descriptorCount - first)))
        return 0
    }

    // MARK: - Credentials

    /// What the kernel asks of credentials that somebody gives (unix(7)): its own, or the capability to say otherwise.
    private func check(
        _ data: UnsafeRawBufferPointer, _ sender: Sender, _ caller: borrowing FileCredentials
    ) -> Int32 {
        guard data.count == 12 else { return -EINVAL }
        let process = data.loadUnaligned(as: Int32.self)
        let capabilities = sender.honoursCapabilities ? caller.effective : []
        let depth = caller.depth
        let isOwn = depth > 0 ? process == caller.processIDs[depth - 1] : false
        let mayName = depth == 1 ? capabilities.contains(.sysAdmin) : false
        guard isOwn || mayName else { return -EPERM }
        // In another user namespace the numbers are other ones; there its own are given whatever it says.
        guard sender.honoursCapabilities else { return 0 }
        let user = data.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
        let group = data.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
        if !caller.users.contains(user), !capabilities.contains(.setuid) { return -EPERM }
        if !caller.userGroups.contains(group), !capabilities.contains(.setgid) { return -EPERM }
        return 0
    }

    /// The sender's own, without which the kernel would take ours.
    private mutating func addCredentials(
        _ sender: Sender, _ caller: borrowing FileCredentials, _ kind: SocketKind
    ) {
        guard sender.isNamed else { return }
        if kind.isUnix {
            addCredentials(caller.process, caller.users.real, caller.userGroups.real)
        } else if kind.domain == SocketKind.netlinkDomain {
            // With no more rights than the caller's nobody may give another process's number.
            addCredentials(getpid(), caller.user, caller.group)
        }
    }

    private mutating func addCredentials(
        _ data: UnsafeRawBufferPointer, _ sender: Sender, _ caller: borrowing FileCredentials, _ kind: SocketKind
    ) {
        guard sender.isNamed, kind.isUnix, sender.honoursCapabilities else {
            return addCredentials(sender, caller, kind)
        }
        let process = data.loadUnaligned(as: Int32.self)
        let isOwn = process == caller.processIDs[caller.depth - 1]
        addCredentials(
            isOwn ? caller.process : process, data.loadUnaligned(fromByteOffset: 4, as: UInt32.self),
            data.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
    }

    private mutating func addCredentials(_ process: Int32, _ user: UInt32, _ group: UInt32) {
        let words: [3 of UInt32] = [UInt32(bitPattern: process), user, group]
        withUnsafeBytes(of: words) { add(Self.socketLevel, Self.credentials, $0) }
    }
}

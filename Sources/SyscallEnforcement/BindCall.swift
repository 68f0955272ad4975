import FileEnforcement
import Glibc
import LinuxKernel

/// bind(2): the address is copied once, and the socket is bound through a copy of the caller's descriptor, so that neither can be exchanged
/// meanwhile. A name of AF_UNIX is a new name in a directory, like mknod(2)'s.
extension CallBroker {
    /// `sizeof(struct sockaddr_storage)`, and where the path of `struct sockaddr_un` begins.
    private static let (addressLimit, pathOffset) = (128, 2)

    mutating func bind(
        _ call: PathCall, _ notification: SystemCallNotification, _ tree: TreeTable.Tree, _ judge: inout CallJudge,
        _ state: UnsafePointer<EnforcementState>, _ unanswered: UnansweredCalls?
    ) -> Answer {
        let thread = notification.thread
        guard call.valueLength <= UInt64(Self.addressLimit) else { return .result(-Int(EINVAL)) }
        let address = UnsafeMutableRawBufferPointer(rebasing: value[..<Int(call.valueLength)])
        let socket = SocketCalls.copy(call.path.directory, of: caller.process, thread: thread)
        guard socket >= 0 else { return .result(Int(socket)) }
        defer { RawDescriptor.close(socket) }
        var kind = SocketKind(domain: 0, type: 0, protocolNumber: 0)
        let error = SocketKind.read(socket, into: &kind)
        guard error == 0 else { return .result(Int(error)) }
        let result = ThreadMemory.read(thread, at: call.path.address, into: address)
        guard SystemCallListener.isWaiting(tree.listener, notification.id) else { return .result(-Int(EINTR)) }
        guard result == 0 else { return .result(Int(result)) }
        if let unanswered {
            switch unanswered.begin(notification, Self.hash(UnsafeRawBufferPointer(address))) {
            case .new: break
            case .underWay: return .waits
            case .done(let answer): return answer
            }
        }
        guard !SocketCall(kind).isRuled || judge.permits(SocketCall(kind), state, reportsAudit: false) else {
            return Self.denied
        }
        // The family of the address is only what the caller says; the socket's own is what the kernel goes by.
        if kind.isUnix, copyName(address) {
            return bindName(socket, tree, thread, &judge, state)
        }
        if kind.domain == SocketKind.netlinkDomain { nameNetlink(address) }
        return .result(Int(asCaller(tree) { SocketCalls.bind(socket, UnsafeRawBufferPointer(address)) }))
    }

    /// Copies the path of an AF_UNIX address, with a zero byte; false for an address without one, and for one that the kernel does not take.
    func copyName(_ address: UnsafeMutableRawBufferPointer) -> Bool {
        guard address.count > Self.pathOffset, address.count <= MemoryLayout<sockaddr_un>.size,
            address.loadUnaligned(as: UInt16.self) == UInt16(AF_UNIX),
            address[Self.pathOffset] != 0
        else { return false }
        var length = 0
        while Self.pathOffset + length < address.count, address[Self.pathOffset + length] != 0 {
            path[length] = CChar(bitPattern: address[Self.pathOffset + length])
            length += 1
        }
        path[length] = 0
        return true
    }

    private mutating func bindName(
        _ socket: Int32, _ tree: TreeTable.Tree, _ thread: Int32, _ judge: inout CallJudge,
        _ state: UnsafePointer<EnforcementState>
    ) -> Answer {
        let found = find(
            PathCall.Path(directory: OpenFlags.currentDirectory, address: 0), path, .entry, thread, tree, new: false)
        guard found == 0 else { return .result(Int(found)) }
        guard walk.object < 0, walk.directory >= 0 else { return .result(-Int(EADDRINUSE)) }
        if walk.lookupError != 0 { return .result(Int(walk.lookupError)) }
        let name = walk.nameBytes
        guard judge.permits(name: name, in: walk.directory, state) else { return Self.denied }
        // By the last name alone, in the directory that was found: the way there could lead elsewhere by now.
        var address = InlineArray<112, UInt8>(repeating: 0)
        let result = withUnsafeMutableBytes(of: &address) { bytes -> Int32 in
            guard name.count <= 107 else { return -EINVAL }
            bytes.storeBytes(of: UInt16(AF_UNIX), as: UInt16.self)
            UnsafeMutableRawBufferPointer(rebasing: bytes[Self.pathOffset...]).copyMemory(from: name)
            guard identity.enterDirectory(walk.directory) == 0 else { return -EACCES }
            let length = Self.pathOffset + name.count + 1
            return asCaller(tree) {
                SocketCalls.bind(socket, UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[..<length]))
            }
        }
        guard identity.enterDirectory(nil) == 0 else { exit(1) }
        return .result(Int(result))
    }

    /// A port of 0 means the caller's process number (netlink(7)), not ours.
    private func nameNetlink(_ address: UnsafeMutableRawBufferPointer) {
        guard address.count >= 12, caller.depth > 0, address.loadUnaligned(fromByteOffset: 4, as: UInt32.self) == 0
        else { return }
        address.storeBytes(
            of: UInt32(bitPattern: caller.processIDs[caller.depth - 1]), toByteOffset: 4, as: UInt32.self)
    }

    /// FNV-1a.
    static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }
}

import LinuxKernel

/// Objects that have no place in a filesystem, so that no rule can name them: pipes, sockets, memory files.
enum NamelessObject {
    /// Whether an object of this name and identity is one.
    static func isOne(_ name: UnsafeRawBufferPointer?, _ status: ObjectStatus) -> Bool {
        guard let name, let first = name.first else { return false }
        if first != UInt8(ascii: "/") { return first != UInt8(ascii: "(") }
        // A directory of that name can be in the root; a memory file has no link.
        return status.nlink == 0 && ByteText.suffix(of: name, after: "/memfd:")?.isEmpty == false
    }
}

/// `/proc/<pid>/mem`: writing it is acting through another process, like process_vm_writev(2), which a tree may not either.
enum ProcessMemoryFile {
    /// Whether an object of procfs with this name is one.
    static func isOne(_ name: UnsafeRawBufferPointer?) -> Bool {
        guard let name else { return true }
        let ending: StaticString = "/mem"
        guard name.count > ending.utf8CodeUnitCount else { return false }
        return ByteText.suffix(
            of: UnsafeRawBufferPointer(rebasing: name[(name.count - ending.utf8CodeUnitCount)...]), after: ending)
            != nil
    }
}

/// `/proc/sys/...`: some are of the network, IPC or UTS namespace of whoever looks them up.
enum KernelSettingFile {
    /// Whether an object of procfs with this name can be one.
    static func isOne(_ name: UnsafeRawBufferPointer?) -> Bool {
        guard let name else { return true }
        let part: StaticString = "/sys/"
        let length = part.utf8CodeUnitCount
        guard name.count >= length else { return false }
        for start in 0...(name.count - length)
        where ByteText.suffix(of: UnsafeRawBufferPointer(rebasing: name[start...]), after: part) != nil { return true }
        return false
    }
}

/// What belongs, once it is open, to the namespaces of whoever opened it: a network device that is made through `/dev/net/tun` comes into
/// that network, `/proc/sysvipc` lists that one's objects, and a control group asks whether it is the opener's own root.
enum OpenersObject {
    /// linux/magic.h: CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC.
    private static let controlGroups: [2 of Int64] = [0x27_E0EB, 0x6367_7270]

    /// Of devices those with a number of the miscellaneous ones, or one that is given away at run time (admin-guide/devices.txt): of tun, macvtap
    /// and what may come. Not those that are opened most of all, memory and terminals.
    private static func canBelong(_ major: UInt64) -> Bool {
        switch major {
        case 10, 234...254, 384...511: true
        default: false
        }
    }

    /// Whether an object can be one.
    ///
    /// - Parameter filesystem: its type.
    static func isOne(_ name: UnsafeRawBufferPointer?, _ status: ObjectStatus, filesystem: Int64?) -> Bool {
        if status.isCharacterDevice { return canBelong(status.deviceNumber >> 32) }
        guard let filesystem else { return true }
        if filesystem == controlGroups[0] || filesystem == controlGroups[1] { return true }
        guard filesystem == ObjectCalls.procFilesystem else { return false }
        guard let name else { return true }
        let part: StaticString = "/sysvipc/"
        return name.indices.contains {
            ByteText.suffix(of: UnsafeRawBufferPointer(rebasing: name[$0...]), after: part) != nil
        }
    }
}

/// Settings of a UTS namespace (uts_namespaces(7)): written by us they would be ours.
enum HostNameSetting {
    /// Whether an object of procfs with this name is one.
    static func isOne(_ name: UnsafeRawBufferPointer?) -> Bool {
        guard let name else { return true }
        return ByteText.suffix(of: name, after: "/proc/sys/kernel/hostname")?.isEmpty == true
            || ByteText.suffix(of: name, after: "/proc/sys/kernel/domainname")?.isEmpty == true
    }
}

/// `/dev/tty`, which is another terminal for everybody (tty(4)).
enum ControllingTerminal {
    /// Its device number, major << 32 | minor.
    static let device: UInt64 = 5 << 32

    /// Pins the terminal of a thread under its usual name in the calling thread's root: a descriptor, or a negated errno (ENXIO: it
    /// has none).
    static func pin(of thread: Int32) -> Int32 {
        var stat = ProcessStat()
        guard ProcFS.stat(of: thread, into: &stat) == 0, stat.ttyNumber != 0 else { return -6 }
        let raw = UInt32(bitPattern: stat.ttyNumber)
        let (major, minor) = (raw >> 8 & 0xFFF, raw & 0xFF | raw >> 12 & 0xFFF00)
        let name: (StaticString, UInt32)
        switch major {
        case 136...143: name = ("/dev/pts/", (major - 136) << 20 | minor)
        case 4 where minor < 64: name = ("/dev/tty", minor)
        case 4: name = ("/dev/ttyS", minor - 64)
        default: return -6
        }
        let object = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 32) { text -> Int32 in
            guard let base = text.baseAddress else { return -6 }
            var length = name.0.utf8CodeUnitCount
            for index in 0..<length { base[index] = CChar(bitPattern: name.0.utf8Start[index]) }
            length = DecimalText.write(Int32(bitPattern: name.1), to: base, at: length)
            base[length] = 0
            return ObjectCalls.pin(OpenFlags.currentDirectory, base, follow: true)
        }
        guard object >= 0 else { return -6 }
        var status = ObjectStatus()
        if ObjectStatus.read(descriptor: object, into: &status) == 0, status.isCharacterDevice,
            status.deviceNumber == UInt64(major) << 32 | UInt64(minor)
        {
            return object
        }
        RawDescriptor.close(object)
        return -6
    }
}

/// Numbers as text, without allocation.
enum DecimalText {
    /// Writes a number that is not negative; the position behind it.
    static func write(_ number: some FixedWidthInteger, to text: UnsafeMutablePointer<CChar>, at start: Int) -> Int {
        let number = UInt64(truncatingIfNeeded: number)
        var divisor: UInt64 = 1
        while number / divisor >= 10 { divisor *= 10 }
        var at = start
        while divisor > 0 {
            text[at] = CChar(truncatingIfNeeded: 0x30 + number / divisor % 10)
            divisor /= 10
            at += 1
        }
        return at
    }
}

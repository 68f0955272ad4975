import CLinux

/// A child that does one thing in somebody's name and ends. Whoever connects a socket of AF_UNIX, or listens on one, is remembered by the
/// kernel as its end's peer (SO_PEERCRED, unix(7)), by process number: with a process that has privileges others would take the caller for
/// that one.
public enum StandIn {
    /// connect(2): 0 or a negated errno. EAGAIN: it would have to wait.
    public static func connect(
        as caller: borrowing FileCredentials, capabilities: CapabilitySet, changesIDs: Bool, _ socket: Int32,
        _ address: UnsafeRawBufferPointer
    ) -> Int32 {
        guard let base = address.baseAddress else { return -22 }
        return act(caller, capabilities, changesIDs, socket, base, UInt32(address.count), 0)
    }

    /// listen(2): 0 or a negated errno.
    public static func listen(
        as caller: borrowing FileCredentials, capabilities: CapabilitySet, changesIDs: Bool, _ socket: Int32,
        backlog: Int32
    ) -> Int32 { act(caller, capabilities, changesIDs, socket, nil, 0, backlog) }

    /// Milliseconds after which a child is killed that does not come to run: what it does takes one or two.
    private static let patience: Int32 = 5000

    private static func act(
        _ caller: borrowing FileCredentials, _ capabilities: CapabilitySet, _ changesIDs: Bool, _ socket: Int32,
        _ address: UnsafeRawPointer?, _ length: UInt32, _ backlog: Int32
    ) -> Int32 {
        let (users, groups) = (caller.users, caller.userGroups)
        var who = pc_stand_in(
            users: (users.real, users.effective, users.saved, caller.user),
            user_groups: (groups.real, groups.effective, groups.saved, caller.group),
            groups: UnsafePointer(caller.groups), group_count: UInt32(caller.groupCount),
            changes: changesIDs ? 1 : 0, capabilities: capabilities.rawValue)
        return pc_stand_in(&who, socket, address, length, backlog, patience)
    }
}

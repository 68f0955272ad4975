import LinuxKernel

/// What the guardian holds of a worker for the one after it: what is in force, the containers and trees it has, and their listeners.
struct WorkerEstate {
    /// The snapshot in force; negative for none.
    private(set) var snapshot: Int32 = -1
    /// Sets of policies that came after the snapshot.
    private var sets: [Int32] = []
    /// What the worker told of each container.
    private var containerNotes: [UInt64: [UInt8]] = [:]
    /// Listeners of supervised trees, by tree.
    private(set) var listeners: [UInt64: Int32] = [:]
    /// What the worker found out about each tree.
    private var treeNotes: [UInt64: [UInt8]] = [:]

    /// Takes what a worker gives to keep, or takes back; other messages are none of it.
    ///
    /// - Returns: whether the descriptor is kept.
    mutating func take(_ message: ChannelMessage, _ descriptor: Int32?, of channel: Int32) -> Bool {
        switch (message.kind, descriptor) {
        case (.keepSnapshot, let memory?):
            if snapshot >= 0 { RawDescriptor.close(snapshot) }
            snapshot = memory
            // It has those in it that are of use.
            for set in sets { RawDescriptor.close(set) }
            sets = []
            return true
        case (.keepSets, let memory?):
            sets.append(memory)
            return true
        case (.holdListener, let listener?):
            listeners[message.number] = listener
            treeNotes[message.number] = message.text
            Channel.send(channel, ChannelMessage(.listenerHeld))
            return true
        case (.dropListener, _): dropListener(message.number)
        case (.holdContainer, _): containerNotes[message.number] = message.text
        case (.forgetContainer, _): containerNotes[message.number] = nil
        default: break
        }
        return false
    }

    /// Closes a tree's listener: from then on its calls fail (ENOSYS).
    mutating func dropListener(_ tree: UInt64) {
        if let listener = listeners.removeValue(forKey: tree) { RawDescriptor.close(listener) }
        treeNotes[tree] = nil
    }

    /// Tells a new worker of the containers that the one before had.
    func bequeathContainers(to channel: Int32) {
        for set in sets { Channel.send(channel, ChannelMessage(.inheritSets), descriptor: set) }
        for (number, note) in containerNotes {
            Channel.send(channel, ChannelMessage(.inheritContainer, number: number, text: note))
        }
        Channel.send(channel, ChannelMessage(.inherited))
    }

    /// Gives it their listeners.
    func bequeathListeners(to channel: Int32) {
        for (number, listener) in listeners {
            Channel.send(
                channel, ChannelMessage(.listener, number: number, text: treeNotes[number] ?? []),
                descriptor: listener)
        }
    }

    /// Closes everything.
    mutating func close() {
        for descriptor in sets + listeners.values + (snapshot >= 0 ? [snapshot] : []) {
            RawDescriptor.close(descriptor)
        }
        self = WorkerEstate()
    }
}

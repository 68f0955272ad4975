import CLinux

/// A message from a socket and the descriptors that came with it; those not taken are closed with it.
public struct ReceivedMessage: ~Copyable, Sendable {
    /// Bytes in the caller's buffer; 0 with no descriptors: the other side has closed.
    public let length: Int
    /// How many descriptors came.
    public let descriptorCount: Int
    private var descriptors: InlineArray<8, Int32>

    init(length: Int, descriptorCount: Int, descriptors: InlineArray<8, Int32>) {
        self.length = length
        self.descriptorCount = descriptorCount
        self.descriptors = descriptors
    }

    deinit {
        for index in 0..<descriptorCount where descriptors[index] >= 0 { _ = pc_close(descriptors[index]) }
    }

    /// Moves a descriptor out; nil if there is none at this place or it was taken.
    public mutating func takeDescriptor(at index: Int) -> Descriptor? {
        guard index >= 0, index < descriptorCount, descriptors[index] >= 0 else { return nil }
        let raw = descriptors[index]
        descriptors[index] = -1
        return Descriptor(owning: raw)
    }
}

import CNetfilter

/// A rule of a `NetfilterBatch` while it is built: conditions from left to right, then what is done.
public struct NetfilterRule {
    /// Which end of a packet an address belongs to.
    public enum Side: UInt8, Sendable { case source, destination }

    /// How many bytes of the transport header and what follows it every kernel reads. Further ones since Linux 6.18.
    public static let payloadReach = UInt32(PC_NFT_PAYLOAD)

    let raw: OpaquePointer

    /// The transport (IPPROTO_*).
    public func matchTransport(_ transport: UInt8) { pc_nft_match_transport(raw, transport) }
    /// The address family: NFPROTO_IPV4 is 2, NFPROTO_IPV6 10.
    public func matchFamily(_ family: UInt8) { pc_nft_match_family(raw, family) }
    /// The interface that the packet came by or leaves by.
    public func matchInterface(_ name: String, isOutput: Bool) {
        pc_nft_match_interface(raw, isOutput ? 1 : 0, name)
    }
    /// One of a set of interfaces.
    public func matchInterfaces(set: String, isOutput: Bool) { pc_nft_match_interfaces(raw, isOutput ? 1 : 0, set) }
    /// The first bits of an address of 4 or 16 bytes.
    public func matchPrefix(_ side: Side, _ address: [UInt8], bits: Int) {
        pc_nft_match_prefix(raw, Int32(side.rawValue), address, UInt32(address.count), UInt32(bits))
    }
    /// An address of a set; of 4 or 16 bytes.
    public func matchAddresses(_ side: Side, length: Int, set: String) {
        pc_nft_match_addresses(raw, Int32(side.rawValue), UInt32(length), set)
    }
    /// A map's value by the address is the verdict.
    public func mapAddress(_ side: Side, length: Int, map: String) {
        pc_nft_map_address(raw, Int32(side.rawValue), UInt32(length), map)
    }
    /// A destination port; the transport must have been matched.
    public func matchPorts(_ ports: ClosedRange<UInt16>) {
        pc_nft_match_port(raw, ports.lowerBound.bigEndian, ports.upperBound.bigEndian)
    }
    /// A destination port of a set.
    public func matchPorts(set: String) { pc_nft_match_ports(raw, set) }
    /// A map's value by the destination port is the verdict.
    public func mapPort(map: String) { pc_nft_map_port(raw, map) }
    /// One of conntrack's states (NF_CT_STATE_BIT).
    public func matchFlowState(_ mask: UInt32) { pc_nft_match_flow_state(raw, mask) }
    /// Types of ICMPv6.
    public func matchICMPv6(_ types: ClosedRange<UInt8>) {
        pc_nft_match_icmpv6_type(raw, types.lowerBound, types.upperBound)
    }
    /// The cgroup v2 directory, by its inode number, `level` directories below the root. Since 5.13.
    public func matchCgroup(_ id: UInt64, level: UInt32) { pc_nft_match_cgroup(raw, level, id) }
    /// The net_cls class of the socket.
    public func matchClass(_ id: UInt32) { pc_nft_match_class(raw, id) }
    /// The user of the socket.
    public func matchUsers(_ uids: ClosedRange<UInt32>) {
        pc_nft_match_users(raw, uids.lowerBound, uids.upperBound)
    }
    /// More than its bytes went through the quota.
    public func matchQuota(_ name: String) { pc_nft_match_quota(raw, name) }
    /// At most so many packets a second after a burst.
    public func matchRate(_ perSecond: UInt64, burst: UInt32) { pc_nft_match_rate(raw, perSecond, burst) }
    /// At most 16 bytes from `offset` of the transport header and what follows it. Only the bits of `mask` count, or all when it is empty.
    /// Without `readsFar` within the first `payloadReach` bytes.
    public func matchPayload(_ bytes: [UInt8], mask: [UInt8], at offset: UInt32, readsFar: Bool) {
        let (length, far) = (UInt32(bytes.count), Int32(readsFar ? 1 : 0))
        if mask.count == bytes.count {
            pc_nft_match_payload(raw, offset, mask, bytes, length, far)
        } else {
            pc_nft_match_payload(raw, offset, nil, bytes, length, far)
        }
    }
    /// One byte of the transport header and what follows it.
    public func matchPayloadByte(_ values: ClosedRange<UInt8>, at offset: UInt32, readsFar: Bool) {
        pc_nft_match_payload_byte(raw, offset, values.lowerBound, values.upperBound, readsFar ? 1 : 0)
    }
    /// Packets of less than that many bytes, network header included.
    public func matchShorter(than length: UInt32) { pc_nft_match_shorter(raw, length) }
    /// Counts packets and bytes.
    public func count() { pc_nft_count(raw) }
    /// Sends the packet's first bytes to the readers of a group of nfnetlink_log.
    public func log(group: UInt16, prefix: String, bytes: UInt32) { pc_nft_log(raw, group, prefix, bytes) }
    /// The verdict.
    public func decide(_ verdict: NetfilterBatch.Verdict) {
        let (code, chain) = verdict.code
        pc_nft_decide(raw, code, chain)
    }
}

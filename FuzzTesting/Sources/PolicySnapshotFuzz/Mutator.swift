import CLibFuzzer
import Glibc

/// Changes a snapshot where it hurts: whole little-endian words become others of the snapshot, small numbers, or its own
/// counts and sizes give or take one. A quarter of the changes are libFuzzer's, so that lengths change too.
@_cdecl("LLVMFuzzerCustomMutator")
public func mutate(_ data: UnsafeMutablePointer<UInt8>, _ size: Int, _ capacity: Int, _ seed: UInt32) -> Int {
    var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 | 1
    func random(_ bound: Int) -> Int {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Int(state >> 8) % bound
    }
    let header = 256
    guard size > header, random(4) > 0 else { return LLVMFuzzerMutate(data, size, capacity) }
    let raw = UnsafeMutableRawPointer(data)
    func word(_ index: Int) -> UInt32 { raw.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self) }
    for _ in 0...random(4) {
        // One in three changes is to the header behind the checksum.
        let at = random(3) == 0 ? 8 + random(header / 4 - 8) : 8 + random(size / 4 - 8)
        let old = word(at)
        let new: UInt32 =
            switch random(8) {
            case 0: 0
            case 1: UInt32.max
            case 2: old &+ 1
            case 3: old &- 1
            case 4: UInt32(random(64))
            case 5: old ^ 1 << UInt32(random(32))
            case 6: UInt32(size) &- UInt32(random(32))
            default: word(8 + random(size / 4 - 8))
            }
        raw.storeBytes(of: new, toByteOffset: at * 4, as: UInt32.self)
    }
    return size
}

import Glibc

/// CLOCK_MONOTONIC.
func monotonicNanoseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
}

/// A number with so many digits after the point, right-aligned.
func column(_ value: Double, digits: Int, width: Int) -> String {
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let scaled = UInt64((value * scale).rounded())
    var text = "\(scaled / UInt64(scale))"
    if digits > 0 {
        let fraction = "\(scaled % UInt64(scale))"
        text += "." + String(repeating: "0", count: digits - fraction.count) + fraction
    }
    return column(text, width: width)
}

/// Right-aligned text.
func column(_ text: String, width: Int) -> String {
    String(repeating: " ", count: max(width - text.count, 0)) + text
}

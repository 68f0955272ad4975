/// The texts of a network policy's quota.
public enum QuotaText {
    /// `2MB`: a number and a unit of 1024s, gigabytes without one. `nil` when it is none, or more than 64 bits can count.
    public static func bytes(_ text: String) -> UInt64? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let factors: [String: UInt64] = [
            "K": 1 << 10, "KB": 1 << 10, "M": 1 << 20, "MB": 1 << 20, "G": 1 << 30, "GB": 1 << 30, "": 1 << 30,
        ]
        guard let number = UInt64(digits), let factor = factors[String(text.dropFirst(digits.count))] else {
            return nil
        }
        let (bytes, isOver) = number.multipliedReportingOverflow(by: factor)
        return isOver ? nil : bytes
    }

    /// A duration as Go writes it (`1h30m`, `1.5s`), in seconds; `nil` when it is none.
    public static func seconds(_ text: String) -> Double? {
        let units = [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1), ("m", 60), ("h", 3600)]
        var rest = text[...]
        var seconds = 0.0
        repeat {
            let number = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest.dropFirst(number.count)
            guard number.contains(where: \.isNumber), number.count(where: { $0 == "." }) <= 1,
                let value = Double("0" + number + (number.contains(".") ? "0" : "")),
                let unit = units.first(where: { rest.hasPrefix($0.0) })
            else { return nil }
            seconds += value * unit.1
            rest = rest.dropFirst(unit.0.count)
        } while !rest.isEmpty
        return seconds
    }
}

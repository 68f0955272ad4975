/// A point in time as date and time of day in UTC, microseconds kept.
struct UTCTime: Equatable {
    let year: UInt64
    let month: UInt64
    let day: UInt64
    let hour: UInt64
    let minute: UInt64
    let second: UInt64
    let microsecond: UInt64

    /// - Parameter wallClock: nanoseconds since 1970; leap seconds do not exist in it.
    init(wallClock: UInt64) {
        let seconds = wallClock / 1_000_000_000
        microsecond = wallClock % 1_000_000_000 / 1000
        second = seconds % 60
        minute = seconds / 60 % 60
        hour = seconds / 3600 % 24
        // Days are counted from 0000-03-01, so that a leap day ends its year; 400 years are always 146097 days.
        let days = seconds / 86400 + 719_468
        let era = days / 146_097
        let dayOfEra = days % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        // March…February is 153 days per five months.
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// Appends `YYYY-MM-DD<separator>HH:MM:SS.ffffff`.
    func append(to bytes: inout [UInt8], separator: UInt8) {
        Self.digits(year, 4, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        Self.digits(month, 2, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        Self.digits(day, 2, to: &bytes)
        bytes.append(separator)
        Self.digits(hour, 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        Self.digits(minute, 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        Self.digits(second, 2, to: &bytes)
        bytes.append(UInt8(ascii: "."))
        Self.digits(microsecond, 6, to: &bytes)
    }

    private static func digits(_ value: UInt64, _ count: Int, to bytes: inout [UInt8]) {
        var divisor: UInt64 = 1
        for _ in 1..<count { divisor *= 10 }
        while divisor > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value / divisor % 10))
            divisor /= 10
        }
    }
}

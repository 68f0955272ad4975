import LinuxKernel

/// Values by call and registers, for threads that decide: the rules of a filter once more, where a call is notified for another reason
/// too. Flat; made once.
struct RegisterTable {
    private struct Entry {
        var architecture: UInt32
        var number: Int32
        var value: Int32
        var comparisons: [2 of (argument: Int, mask: UInt64, value: UInt64)]
    }

    private let entries: UnsafeMutablePointer<Entry>
    private let count: Int

    /// - Parameters:
    ///   - rules: two comparisons at most.
    ///   - numbers: the numbers of a name, on each architecture that has it.
    init(
        _ rules: [(rule: FilterProgram.Rule, value: Int32)],
        numbers: (String) -> [(architecture: UInt32, number: Int32)]
    ) {
        var found: [Entry] = []
        for (rule, value) in rules {
            precondition(rule.comparisons.count <= 2, "a rule of ours has two comparisons at most")
            // Nothing is compared where the mask is 0.
            var comparisons: [2 of (argument: Int, mask: UInt64, value: UInt64)] = [(0, 0, 0), (0, 0, 0)]
            for (index, comparison) in rule.comparisons.enumerated() {
                comparisons[index] = (comparison.argument, comparison.mask, comparison.value)
            }
            for place in numbers(rule.name) {
                found.append(
                    Entry(
                        architecture: place.architecture, number: place.number, value: value, comparisons: comparisons))
            }
        }
        count = found.count
        entries = .allocate(capacity: max(count, 1))
        for (index, entry) in found.enumerated() { (entries + index).initialize(to: entry) }
    }

    func deallocate() { entries.deallocate() }

    /// The value of the first rule that the registers satisfy.
    func first(_ call: SystemCallNotification) -> Int32? {
        for index in 0..<count where entries[index].number == call.number {
            let entry = entries[index]
            guard entry.architecture == call.architecture else { continue }
            var isMet = true
            for comparison in 0..<2 {
                let one = entry.comparisons[comparison]
                if call.argument(one.argument) & one.mask != one.value { isMet = false }
            }
            if isMet { return entry.value }
        }
        return nil
    }
}

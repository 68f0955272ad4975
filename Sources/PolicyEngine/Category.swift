/// What kind of operation a rule is about. The first five have an allow-list switch each.
public enum Category: UInt8, Sendable, CaseIterable {
    case process, file, networkProtocol, dns, capability, syscall
}

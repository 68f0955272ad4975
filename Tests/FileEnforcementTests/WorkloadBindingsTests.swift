import Testing

@testable import FileEnforcement

@Suite("Workload bindings")
struct WorkloadBindingsTests {
    @Test func theyAreWhatADictionaryWouldSay() {
        let bindings = WorkloadBindings()
        var expected: [UInt64: UInt64] = [:]
        var random = SystemRandomNumberGenerator()
        for workload in 1...20_000 as ClosedRange<UInt64> {
            // Numbers as the kernel gives them, one after the other, and given again.
            let inode = 4_026_531_838 + UInt64.random(in: 0..<1500, using: &random)
            if Bool.random(using: &random), expected.count < 1000 {
                #expect(bindings.bind(namespace: inode, to: workload))
                expected[inode] = workload
            } else {
                bindings.unbind(namespace: inode)
                expected[inode] = nil
            }
            let asked = 4_026_531_838 + UInt64.random(in: 0..<1500, using: &random)
            #expect(bindings.workload(ofNamespace: asked) == expected[asked, default: 0])
        }
        for (inode, workload) in expected { #expect(bindings.workload(ofNamespace: inode) == workload) }
    }

    @Test func whatDoesNotFitIsNotBound() {
        let bindings = WorkloadBindings()
        var bound: UInt64 = 0
        while bound < 10_000, bindings.bind(namespace: 1 + bound, to: 1) { bound += 1 }
        #expect(bound == 4096)
        #expect(bindings.workload(ofNamespace: 1 + bound) == 0)
        bindings.unbind(namespace: 17)
        #expect(bindings.bind(namespace: 1 + bound, to: 5))
        #expect(bindings.workload(ofNamespace: 1 + bound) == 5)
    }
}

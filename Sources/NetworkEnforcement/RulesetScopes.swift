import PolicyEngine

extension Ruleset {
    /// The rules of a workload that shares its network with others.
    public struct Scoped: Sendable, Hashable {
        /// Its number.
        public var workload: UInt64
        /// How its packets are told from others'.
        public var scope: WorkloadScope
        /// Its rules, as if the network were its own.
        public var ruleset: Ruleset

        /// Rules of a workload.
        public init(workload: UInt64, scope: WorkloadScope, ruleset: Ruleset) {
            self.workload = workload
            self.scope = scope
            self.ruleset = ruleset
        }
    }

    /// Both these rules and those of the workloads: a packet has to pass those of the network and those of its workload.
    ///
    /// Each base chain of a workload becomes a chain that packets of its scope go to, from a base chain of the same hook and priority that all
    /// workloads share.
    public func joined(with workloads: [Scoped]) -> Ruleset {
        var result = self
        var entrances: [Chain] = []
        for scoped in workloads where !scoped.ruleset.isEmpty {
            if result.isEmpty { result.logGroup = scoped.ruleset.logGroup }
            result.readsFar = result.readsFar && scoped.ruleset.readsFar
            let part = scoped.ruleset.owned(by: scoped.workload)
            for var chain in part.chains {
                guard let hook = chain.hook else {
                    result.chains.append(chain)
                    continue
                }
                guard hook != .input || scoped.scope.tellsArriving else { continue }
                let name = "workloads-" + Self.nameWithoutOwner(chain.name)
                let index =
                    entrances.firstIndex { $0.name == name }
                    ?? {
                        entrances.append(Chain(name: name, hook: hook, priority: chain.priority))
                        return entrances.count - 1
                    }()
                entrances[index].rules.append(
                    Rule(matches: [scoped.scope.match], action: .decide(.goto(chain.name))))
                (chain.hook, chain.priority) = (nil, 0)
                result.chains.append(chain)
            }
            result.sets += part.sets
            result.quotas += part.quotas
        }
        result.chains.insert(contentsOf: entrances, at: 0)
        result.quotas.sort { $0.name < $1.name }
        return result
    }

    private static func nameWithoutOwner(_ name: String) -> String {
        String(name.drop { $0 != "-" }.dropFirst())
    }

    /// The same rules under names that only this workload has, telling in whose name they log.
    private func owned(by workload: UInt64) -> Ruleset {
        let owner =
            SnapshotBundle.isContainer(workload)
            ? "c\(SnapshotBundle.number(ofContainer: workload))" : "t\(workload)"
        func renamed(_ name: String) -> String { "\(owner)-\(name)" }
        func renamed(_ verdict: Verdict) -> Verdict {
            switch verdict {
            case .goto(let chain): .goto(renamed(chain))
            case .jump(let chain): .jump(renamed(chain))
            case .accept, .drop, .leave: verdict
            }
        }
        func renamedQuota(_ name: String) -> String { "\(owner)_\(name)" }
        func renamed(_ match: Match) -> Match {
            switch match {
            case .interfaces(let hook, let set): .interfaces(hook, set: renamed(set))
            case .addresses(let side, let family, let set): .addresses(side, family, set: renamed(set))
            case .portSet(let set): .portSet(renamed(set))
            case .quota(let name): .quota(renamedQuota(name))
            default: match
            }
        }
        func renamed(_ action: Action) -> Action {
            switch action {
            case .decide(let verdict): .decide(renamed(verdict))
            case .mapPort(let map): .mapPort(renamed(map))
            case .mapAddress(let side, let family, let map): .mapAddress(side, family, renamed(map))
            case .none: .none
            }
        }
        var result = self
        for index in result.quotas.indices { result.quotas[index].name = renamedQuota(quotas[index].name) }
        for index in result.sets.indices {
            result.sets[index].name = renamed(sets[index].name)
            for element in sets[index].ranges.indices {
                result.sets[index].ranges[element].verdict = sets[index].ranges[element].verdict.map(renamed)
            }
        }
        for index in result.chains.indices {
            result.chains[index].name = renamed(chains[index].name)
            for (rule, old) in chains[index].rules.enumerated() {
                result.chains[index].rules[rule].matches = old.matches.map(renamed)
                result.chains[index].rules[rule].action = renamed(old.action)
                result.chains[index].rules[rule].log = old.log.map { "\($0) \(workload)" }
            }
        }
        return result
    }
}

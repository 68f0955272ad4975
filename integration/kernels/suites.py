"""Which suites of KernelTests run in guests and what decides in them; why the others do not. A suite in neither list is an error."""

# Suite -> (mechanism, scenario).
IN_GUESTS = {
    "FileRuleTests": ("fanotify", "file rules: paths, directories, patterns, readOnly, ownerOnly, fromSource"),
    "ProcessRuleTests": ("fanotify", "process rules: paths, names, directories, parents"),
    "AllowListTests": ("fanotify", "allow-lists of programs (B04, B15 to B17, B19, B22)"),
    "HostPolicyTests": ("fanotify", "KubeArmor's published host policies"),
    "B01SymlinkTests": ("fanotify", "B01 symlinks, also in the policy's path"),
    "B02HardLinkTests": ("fanotify", "B02 hard links"),
    "B03RenameTests": ("fanotify", "B03 renamed files and directories"),
    "B04BindMountTests": ("fanotify", "B04 bind mounts in private namespaces"),
    "B05ReopenTests": ("fanotify", "B05 O_PATH and reopen, relative names, `/proc`"),
    "B06FileHandleTests": ("fanotify", "B06 file handles"),
    "B11StaleDescriptorTests": ("fanotify", "B11 descriptors from before the rule"),
    "B12PassedDescriptorTests": ("fanotify", "B12 passed descriptors"),
    "B13SpellingTests": ("fanotify", "B13 spellings"),
    "B14CopyUpTests": ("fanotify", "B14 overlay copy-up, files made anew"),
    "B16LoaderTests": ("fanotify", "B16 the loader run by hand"),
    "B17InterpreterTests": ("fanotify", "B17 scripts"),
    "B19CopyTests": ("fanotify", "B19 copies of programs"),
    "B22FreshMountTests": ("fanotify", "B22 filesystems mounted later"),
    "B36HostileNameTests": ("fanotify", "B36 control characters in names"),
    "SupervisedTreeTests": ("seccomp", "supervised trees: sockets, ends, the worker's death (B21, B27, B30)"),
    "SupervisedFileTests": ("seccomp", "changes of names and metadata in trees (B07 to B10)"),
    "TreeFilterTests": ("seccomp", "filters of trees: other tables, io_uring, namespaces, tracing (B20, B24 to B26, B32)"),
    "TreePolicyTests": ("seccomp", "policies of a tree's own"),
    "PublishedTreePolicyTests": ("seccomp", "KubeArmor's published container policies"),
    "SystemCallRuleTests": ("seccomp", "rules on capabilities and system calls"),
    "B21ManagerTests": ("seccomp", "B21 managers over AF_UNIX, files of cron's"),
    "B23PointerRaceTests": ("seccomp", "B23 paths that change while the call waits"),
    "B31SendTests": ("seccomp", "B31 packets without a connection"),
    "EquivalenceTests": ("seccomp", "calls do what they do without us"),
    "RootlessTests": ("seccomp", "an agent without privileges"),
    "NetworkPolicyTests": ("nf_tables", "network policies and protocols of the host"),
    "DomainPolicyTests": ("nf_tables", "names in packets"),
    "WorkloadNetworkTests": ("nf_tables", "packets of trees and containers that share the host's network, told apart by cgroup"),
    "PacketBypassTests": ("nf_tables", "packets outside of trees (B31 to B33)"),
    "QueryTests": ("seccomp", "names that are asked for (DNS)"),
    "B23RootlessRaceTests": ("seccomp", "B23 without privileges"),
    "B31ForeignSocketTests": ("seccomp", "B31 sockets from elsewhere"),
    "HostileSendTests": ("seccomp", "messages that are to break the agent"),
    "RootlessBypassTests": ("seccomp", "the bypasses against an agent without privileges"),
    "LandlockTests": ("Landlock", "a wall around trees of an agent without privileges"),
    "OpenersNamespaceTests": ("seccomp", "names and devices of the opener's namespaces"),
    "OwnProcessTests": ("all", "the agent's own process is closed"),
    "OldKernelTests": ("fanotify", "a kernel as old as Linux 4.19 (filtered away)"),
    "ResilienceTests": ("all", "worker killed, stopped, flooded, reloaded (B27 to B29)"),
    "StartTests": ("all", "starts, refusals, restarts (B34)"),
}
# Suite, or suite/test -> (feature of `portcullis probe` without which it is not run, what is shown instead).
NEEDS = {
    "LandlockTests": ("landlock", "that a tree which asks for the wall is refused with the reason is one of `OldKernelTests`"),
    "WorkloadNetworkTests/whatArrivesForATreeIsHeld": ("nftables.cgroupv2", "a class tells nothing of what arrives, and `status` says so"),
}
# Feature of `portcullis probe` -> what is done without it. Only those that Debian's kernels do not all have.
WITHOUT = {
    "fanotify.pre-content-class": "not needed: rules are about opens and executions",
    "fanotify.report-fd-error": "an event without a descriptor ends as a refusal all the same",
    "fanotify.pre-access": "not needed: rules are about opens and executions",
    "fanotify.report-mount": "mounts are noticed by `/proc/self/mountinfo`",
    "fanotify.mount-namespace-mark": "mounts are noticed by `/proc/self/mountinfo`",
    "seccomp.wait-killable": "what was done of an interrupted call is remembered, and told when the kernel makes it again",
    "seccomp.add-descriptor-send": "the descriptor is added, then the number returned",
    "seccomp.sync-wake-up": "slower: the worker may wake up on another processor",
    "landlock": "`portcullis run --landlock` refuses to start anything; everything else is as ever",
    "nftables.far-bytes": "names are looked for in the first 316 bytes: one of more than 242 bytes behind many TCP options passes; `status` says so",
    "nftables.cgroupv2": "packets of workloads that share the host's network are told by their net_cls class or users; `status` says so",
}
# Suite, or suite/test -> why not.
ONLY_HERE = {
    "RealProgramTests": "compares compilers, servers and package managers of the machine with and without us",
    "ContainerTests": "runs the machine's container runtimes",
    "FoundContainerTests": "runs the machine's container runtimes",
    "HookTests": "runs the machine's container runtimes",
    "RootlessContainerTests": "runs the machine's container runtimes",
    "ContainerPacketTests": "runs the machine's container runtimes",
    "RootlessPacketTests": "runs the machine's container runtimes",
    "GatewayTests": "is about gRPC, of which the kernel knows nothing",
    "ThreatTests": "is about gRPC, of which the kernel knows nothing",
    "RelayThreatTests": "is about gRPC, of which the kernel knows nothing",
    "VisibilityTests": "asks by gRPC, with a client of PyPI's",
    "OlderListenerTests": "takes away flags of listeners that 5.10 has not; needs a compiler",
    "B18PreloadTests": "compiles what it preloads",
    "RootlessBypassTests/b18ALibraryThatIsNotListedIsNotPreloaded": "compiles what it preloads",
    "WorkloadNetworkTests/aContainerThatSharesTheNetworkIsToldByItsCgroup": "runs the machine's container runtimes",
    "WorkloadNetworkTests/aReloadLeavesAContainersRulesInForce": "runs the machine's container runtimes",
    "B23NetworkRaceTests": "two threads of one emulated processor hardly meet: its rounds take longer than it waits",
    "B23RootlessRaceTests/aPathThatChangesMeanwhileOpensNothingForbidden": "its rounds take longer than it waits",
    "B23PointerRaceTests/aPathThatChangesMeanwhileOpensNothingForbidden": "its rounds take longer than it waits",
    "ExhaustionTests": "floods, thousands of waiting openers, a thousand reloads: an hour under emulation",
}

# What `make test` runs on the oldest kernel, in some minutes: of every mechanism, and of every way around what that kernel lacks. None of
# them waits for a time to pass, or is about who is faster.
ON_OLDEST = [
    # Files: fanotify.
    "FileRuleTests/aBlockedFileIsNotReadAndOthersAre",
    "FileRuleTests/anAuditedFileIsReadAndReportedOnce",
    "FileRuleTests/ownerOnlyIsAboutTheCallersFsuid",
    "FileRuleTests/fromSourceIsAboutTheCallersExecutable",
    "FileRuleTests/aPatternCoversWhatItNames",
    "B01SymlinkTests/symlinksLeadToTheObject",
    "B02HardLinkTests/aHardLinkMadeBeforeTheRule",
    "B04BindMountTests/aBindMountInAPrivateNamespace",
    "B22FreshMountTests/aFilesystemMountedLaterIsMarked",
    # Programs: fanotify.
    "ProcessRuleTests/aBlockedProgramDoesNotRunAndOthersDo",
    "ProcessRuleTests/fromSourceIsAboutTheParentsExecutable",
    "AllowListTests/listedProgramsRunAndOthersDoNot",
    "AllowListTests/b15AProgramWithoutAName",
    "B16LoaderTests/theLoaderRunsNothingThatIsBlocked",
    # Trees: seccomp.
    "SupervisedTreeTests/aBlockedProtocolHasNoSocket",
    "SupervisedTreeTests/b21AGrandchildInASessionOfItsOwnIsStillInTheTree",
    "SupervisedTreeTests/anEndedTreeLeavesNothingBehind",
    "SupervisedFileTests/aBlockedFileStaysAsItIs",
    "SupervisedFileTests/anAuditedChangeIsReportedOnceAndDone",
    "TreeFilterTests/b24AnX32CallKills",
    "TreeFilterTests/b24AnI386SocketIsASocket",
    "TreeFilterTests/b32CapabilitiesThatAreBlockedAreGone",
    "TreePolicyTests/aProgramRunsOutsideAndNotInTheTree",
    # Neither a descriptor that is added with the answer, nor a call that waits killably.
    "SupervisedFileTests/whatIsOpenedForTheCallerIsItsOwn",
    "SupervisedFileTests/socketsAreBoundAsBefore",
    "SupervisedFileTests/anInterruptedCallIsDoneOnce",
    # No Landlock; and what a kernel that lacks more is told.
    "OldKernelTests/aWallThatTheKernelCannotBuildIsRefusedWithTheReason",
    "OldKernelTests/probeAndStatusSayWhatIsMissing",
    # Packets: nf_tables; those of trees by classes, because it cannot ask for a cgroup of version 2.
    "NetworkPolicyTests/anAuditedFlowPassesAndIsToldOfOnce",
    "NetworkPolicyTests/aRefusedFlowIsToldOfOnce",
    "NetworkPolicyTests/aFamilyDoesNotLeakIntoTheOther",
    "NetworkPolicyTests/aDeadWorkerLeavesTheRulesInForce",
    "WorkloadNetworkTests/whatATreeSendsIsHeldAndWhatOthersSendIsNot",
    "WorkloadNetworkTests/statusTellsHowATreesPacketsAreTold",
    "WorkloadNetworkTests/aDeadWorkerLeavesATreesRulesInForce",
    # Nor does it take offsets in packets of more than 255, behind which names can be.
    "DomainPolicyTests/aBlockedNameIsNotAskedFor",
    # Without privileges.
    "RootlessTests/b02AHardLinkFromBeforeIsKnown",
    "RootlessTests/aBlockedProgramDoesNotRun",
    "RootlessTests/aProtocolIsNotSpoken",
    "RootlessTests/aTreeHasPoliciesOfItsOwn",
    "RootlessTests/itSaysWhatItHolds",
]
# Without these it is not the kernel that those tests are chosen for.
OLDEST_LACKS = ("seccomp.add-descriptor-send", "seccomp.wait-killable", "nftables.cgroupv2", "nftables.far-bytes", "landlock")


def suite(test):
    """The suite's type name of a test's identifier, as `--list-tests` prints it."""
    return test.split("KernelSuite/")[1].split("/")[0]


def short(test):
    """suite/test of such an identifier."""
    return "/".join(test.split("KernelSuite/")[1].split("(")[0].split("/")[:2])


def is_left_out(test):
    """Whether a single test of a suite that runs in guests does not."""
    return short(test) in ONLY_HERE

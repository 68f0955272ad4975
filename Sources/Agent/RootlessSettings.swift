import AgentCore
import ControlProtocol
import Glibc

extension AgentSettings {
    /// The defaults of an agent without privileges: directories of the user who runs it (XDG Base Directory), no other user for the
    /// front.
    ///
    /// - Throws: for root, and without a runtime directory.
    mutating func becomeRootless() throws(ConfigurationError) {
        guard geteuid() != 0 else {
            throw ConfigurationError(text: "--rootless is for other users than root, who needs no such thing")
        }
        (isRootless, usesEvents) = (true, false)
        (frontUser, frontGroup) = (geteuid(), getegid())
        runDirectory = DefaultPaths.userRunDirectory
        stateDirectory = DefaultPaths.userStateDirectory
    }
}

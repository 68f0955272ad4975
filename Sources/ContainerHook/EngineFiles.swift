import Glibc

/// Files of engines that say more of a container than its runtime does.
enum EngineFiles {
    /// Where such files may be, of one kind the likeliest first.
    ///
    /// - Parameter bundle: the container's; podman's are `<storage>/<driver>-containers/<id>/userdata`.
    static func paths(bundle: String) -> [(HookMessage.File, String)] {
        let parts = bundle.split(separator: "/", omittingEmptySubsequences: true)
        // Docker's containers are containerd's, of the namespace moby.
        if parts.count > 2, parts[parts.count - 2] == "moby", let id = parts.last {
            return [(.docker, "/var/lib/docker/containers/\(id)/config.v2.json")]
        }
        guard parts.count > 3, parts.last == "userdata", parts[parts.count - 3].hasSuffix("-containers") else {
            return []
        }
        let storage = "/" + parts.dropLast(2).joined(separator: "/")
        let variable = getenv("XDG_RUNTIME_DIR").map { String(cString: $0) } ?? ""
        let own = variable.hasPrefix("/") ? [variable + "/libpod/tmp/events/events.log"] : []
        return [(.containers, storage + "/containers.json")]
            + (own + ["/run/libpod/events/events.log"]).map { (.events, $0) }
    }
}

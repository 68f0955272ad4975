/// The container an event belongs to, as alerts show it. Host events have none.
public struct AlertWorkload: Sendable, Hashable {
    /// The object that owns the pod.
    public struct Owner: Sendable, Hashable {
        /// `Deployment`, `ReplicaSet`, `StatefulSet`, `DaemonSet`, `Job`, `CronJob` or `Pod`.
        public var ref: String
        /// Its name.
        public var name: String
        /// Its namespace.
        public var namespace: String

        /// Creates an owner.
        public init(ref: String, name: String, namespace: String) {
            self.ref = ref
            self.name = name
            self.namespace = namespace
        }
    }

    /// Pod namespace; `container_namespace` outside Kubernetes.
    public var namespaceName: String
    /// Owner of the pod, when known.
    public var owner: Owner?
    /// Pod; outside Kubernetes the container's name.
    public var podName: String
    /// `k=v,k=v`.
    public var labels: String
    /// 64 hexadecimal digits.
    public var containerID: String
    /// Name of the container.
    public var containerName: String
    /// Image reference with digest.
    public var containerImage: String
    /// What throttling counts by.
    public var throttleKey: ThrottleKey

    /// Creates a workload.
    public init(
        namespaceName: String = "container_namespace", owner: Owner? = nil, podName: String = "", labels: String = "",
        containerID: String, containerName: String, containerImage: String = "", throttleKey: ThrottleKey
    ) {
        self.namespaceName = namespaceName
        self.owner = owner
        self.podName = podName
        self.labels = labels
        self.containerID = containerID
        self.containerName = containerName
        self.containerImage = containerImage
        self.throttleKey = throttleKey
    }
}

import Testing
import Workloads

@testable import Agent

@Suite("Who a container is")
struct IdentityNotesTests {
    private static let tasks = "/run/containerd/io.containerd.runtime.v2.task"

    @Test func aClientOfContainerdGivesLabelsAsAnnotations() {
        let notes = IdentityNotes(
            annotations: [
                "app": "web", "tier": "front", "io.portcullis.label.app": "db", "io.portcullis.image": "nginx:1",
                "io.containerd.image.config.stop-signal": "SIGTERM", "nerdctl/name": "shop",
            ], bundle: Self.tasks + "/default/web")
        // What was written for us counts first.
        #expect(
            notes.identity(id: "web")
                == ContainerIdentity(id: "web", name: "shop", image: "nginx:1", labels: ["app": "db", "tier": "front"]))
        #expect(IdentityNotes(annotations: [:], bundle: Self.tasks + "/default/web").identity(id: "web").name == "web")
    }

    @Test(arguments: [
        ("/run/containerd/io.containerd.runtime.v2.task/k8s.io/0123", ["io.kubernetes.cri.container-name": "web"]),
        ("/run/containerd/io.containerd.runtime.v2.task/moby/0123", [:]), ("/srv/io.containerd.runtime.v2.task", [:]),
        ("/var/lib/containers/storage/overlay-containers/0123/userdata", [:]), ("", [:]),
    ])
    func annotationsOfOthersAreNoLabels(bundle: String, more: [String: String]) {
        let annotations = more.merging(["app": "web"]) { known, _ in known }
        #expect(IdentityNotes(annotations: annotations, bundle: bundle).labels == [:])
    }
}

import HTTPTypes
import Hummingbird

/// The page itself: files that are part of the program. No path of a request reaches a file system.
struct AssetRoutes: Sendable {
    private static let assets: [(path: String, type: String, bytes: [UInt8])] = [
        ("/", "text/html; charset=utf-8", PackageResources.index_html),
        ("app.js", "text/javascript; charset=utf-8", PackageResources.app_js),
        ("app.css", "text/css; charset=utf-8", PackageResources.app_css),
        ("icon.svg", "image/svg+xml", PackageResources.icon_svg),
    ]

    func add(to router: Router<WebContext>) {
        for (path, type, bytes) in Self.assets {
            router.get(RouterPath(path)) { _, _ in
                Response(
                    status: .ok, headers: [.contentType: type],
                    body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
            }
        }
    }
}

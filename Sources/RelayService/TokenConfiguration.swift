import Foundation
import LinuxKernel
import RPCTransport
import UserTokens

/// Users by OpenID Connect: whose tokens count, what for, and where gRPC takes them.
package struct TokenConfiguration: Sendable, Equatable {
    /// `ADDRESS:PORT`s of gRPC by TLS without certificates of clients.
    package var listen: [String] = []
    /// Whose, and what for.
    package var settings = TokenSettings()

    static func parse(_ node: ConfigurationNode) throws -> TokenConfiguration {
        var result = TokenConfiguration()
        for (key, value) in try node.fields() {
            switch key {
            case "listen": result.listen = try value.places()
            case "issuer": result.settings.issuer = try value.text()
            case "audience": result.settings.audience = try value.text()
            case "keys":
                result.settings.keys = try value.text()
                guard result.settings.keys.hasPrefix("https://") || result.settings.keys.hasPrefix("/") else {
                    throw value.problem("keys must be an absolute path or an https:// URL")
                }
            case "keysAuthority": result.settings.keysAuthority = try value.text()
            case "roleClaim": result.settings.roleClaim = try value.text()
            case "roles":
                for (name, values) in try value.fields() {
                    guard let role = PeerRole(rawValue: name), TokenSettings.possibleRoles.contains(role) else {
                        throw values.problem("'\(name)' is not a role of users: cli (looks), controller (changes)")
                    }
                    result.settings.roles[role] = Set(try values.list().map { try $0.text() })
                }
            default: throw value.problem("unknown key '\(key)'")
            }
        }
        let settings = result.settings
        for (name, text) in [("issuer", settings.issuer), ("audience", settings.audience), ("keys", settings.keys)]
        where text.isEmpty { throw node.problem("\(name) is needed") }
        guard settings.roles.values.contains(where: { !$0.isEmpty }) else {
            throw node.problem("roles is needed: nobody has a role otherwise")
        }
        return result
    }
}

import GRPCCore
import SwiftProtobuf

/// Writes protobuf messages for gRPC.
///
/// What the package grpc-swift-protobuf has for this would be all we use of it, and its plugins bring a protobuf compiler in
/// C++ into every build.
package struct ProtobufSerializer<Message: SwiftProtobuf.Message>: MessageSerializer {
    package init() {}

    package func serialize<Bytes: GRPCContiguousBytes>(_ message: Message) throws -> Bytes {
        do {
            let bytes: [UInt8] = try message.serializedBytes()
            return Bytes(bytes)
        } catch {
            throw RPCError(code: .internalError, message: "cannot write \(Message.protoMessageName)", cause: error)
        }
    }
}

/// Reads protobuf messages from gRPC: nested no deeper than any of ours is, with valid UTF-8.
package struct ProtobufDeserializer<Message: SwiftProtobuf.Message>: MessageDeserializer {
    package init() {}

    private static var options: BinaryDecodingOptions {
        var options = BinaryDecodingOptions()
        options.messageDepthLimit = 8
        return options
    }

    package func deserialize<Bytes: GRPCContiguousBytes>(_ serializedMessageBytes: Bytes) throws -> Message {
        do {
            let bytes = serializedMessageBytes.withUnsafeBytes { Array($0) }
            return try Message(serializedBytes: bytes, partial: false, options: Self.options)
        } catch {
            throw RPCError(code: .invalidArgument, message: "not a \(Message.protoMessageName)", cause: error)
        }
    }
}

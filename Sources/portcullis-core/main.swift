import AgentCore
import Glibc

exit(CoreProgram.run(Array(CommandLine.arguments.dropFirst())))

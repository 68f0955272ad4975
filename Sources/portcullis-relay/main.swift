import Glibc
import RelayService

exit(await RelayProgram.run(Array(CommandLine.arguments.dropFirst())))

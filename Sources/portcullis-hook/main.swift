import ContainerHook
import Glibc

exit(HookProgram.run(Array(CommandLine.arguments.dropFirst())))

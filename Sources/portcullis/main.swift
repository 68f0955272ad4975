import CommandLineTool
import Glibc

exit(PortcullisTool.run(Array(CommandLine.arguments.dropFirst())))

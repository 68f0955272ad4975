import Agent
import Glibc

exit(PortcullisDaemon.run(Array(CommandLine.arguments.dropFirst())))

import Glibc
import TreeLauncher

exit(TreeLauncher.run(Array(CommandLine.arguments.dropFirst())))

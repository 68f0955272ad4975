import GatewayService
import Glibc

exit(await GatewayProgram.run())

#include "pc_seccomp.h"

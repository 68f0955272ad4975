#include "pc_capability.h"

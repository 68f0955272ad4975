#include "pc_ring.h"

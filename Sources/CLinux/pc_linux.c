#include "pc_linux.h"

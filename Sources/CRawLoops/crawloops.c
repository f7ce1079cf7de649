#include "crawloops.h"

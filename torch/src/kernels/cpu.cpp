// The kernels for the CPU.
#include "common.h"
#include "encoder.h"
#include "decoder.h"
#include "update.h"

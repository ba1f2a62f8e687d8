/* engine/cpu/peaks_bf16__amx.c: the rate of TDPBF16PS. */
#define QR_PEAK_NAME           qr__peak_bf16__amx
#define QR_PEAK_MAC(sum, a, b) _tile_dpbf16ps(sum, a, b)
#include "engine/cpu/peaks_amx_loop.h"

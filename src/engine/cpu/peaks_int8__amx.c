/* engine/cpu/peaks_int8__amx.c: the rate of TDPBUSD. */
#define QR_PEAK_NAME           qr__peak_int8__amx
#define QR_PEAK_MAC(sum, a, b) _tile_dpbusd(sum, a, b)
#include "engine/cpu/peaks_amx_loop.h"

/* engine/cpu/peaks_neon_loop.h: peaks_loop.h where a "vector" is two registers: four units with a
 * latency of four want more chains than QR_PEAK_SUMS, and there are registers for twice as many.
 *
 * The including file includes arm_neon.h and defines QR_PEAK_DATA (a register), QR_PEAK_ONE (one
 * that holds small numbers), QR_PEAK_MAC_ONE(sum, a, b) and QR_PEAK_NAME. */
typedef struct pair {
    QR_PEAK_DATA low, high;
} pair;

static inline pair multiply_add(pair sum, pair a, pair b) {
    return (pair){QR_PEAK_MAC_ONE(sum.low, a.low, b.low),
                  QR_PEAK_MAC_ONE(sum.high, a.high, b.high)};
}

#define QR_PEAK_VECTOR         pair
#define QR_PEAK_START          ((pair){QR_PEAK_ONE, QR_PEAK_ONE})
#define QR_PEAK_MAC(sum, a, b) multiply_add(sum, a, b)
#define QR_PEAK_REGISTER(v)    "+w"((v).low), "+w"((v).high)
#define QR_PEAK_FLOAT(sum)     ((float)(sum).low[0] + (float)(sum).high[0])
#include "engine/cpu/peaks_loop.h"

/* cli/arrivals.c: xorshift64* and a logarithm. */
#include "cli/arrivals.h"

#include <math.h>

int qr__arrivals_check(const qr__command *command, const char *arrival) {
    if (strcmp(arrival, "poisson") == 0 || qr__arrivals_uniform(arrival))
        return QR_FLAGS_GO;
    return qr__flags_refuse(command, "--arrival %s: must be poisson or uniform", arrival);
}

bool qr__arrivals_uniform(const char *arrival) {
    return strcmp(arrival, "uniform") == 0;
}

qr__arrivals qr__arrivals_of(double rate, bool uniform, uint64_t seed) {
    return (qr__arrivals){.mean_ns = 1e9 / rate, .uniform = uniform, .random = seed | 1};
}

static double uniform_random(qr__arrivals *arrivals) {
    arrivals->random ^= arrivals->random >> 12;
    arrivals->random ^= arrivals->random << 25;
    arrivals->random ^= arrivals->random >> 27;
    return (double)((arrivals->random * UINT64_C(0x2545F4914F6CDD1D)) >> 11) * 0x1p-53;
}

uint64_t qr__arrivals_gap_ns(qr__arrivals *arrivals) {
    if (arrivals->uniform)
        return (uint64_t)arrivals->mean_ns;
    return (uint64_t)(-log1p(-uniform_random(arrivals)) * arrivals->mean_ns);
}

/* cli/arrivals.c: xorshift64* (Vigna 2016) and a logarithm. */
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

double qr__random_share(uint64_t *random) {
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    return (double)((*random * UINT64_C(0x2545F4914F6CDD1D)) >> 11) * 0x1p-53;
}

uint64_t qr__arrivals_gap_ns(qr__arrivals *arrivals) {
    if (arrivals->uniform)
        return (uint64_t)arrivals->mean_ns;
    return (uint64_t)(-log1p(-qr__random_share(&arrivals->random)) * arrivals->mean_ns);
}

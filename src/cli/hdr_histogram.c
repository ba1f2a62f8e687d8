/* cli/hdr_histogram.c: bucket = (octave, the 10 bits below its leading one). */
#include "cli/hdr_histogram.h"

#include <math.h>
#include <stdlib.h>

#define HALF_BITS 10u
#define HALF      (1u << HALF_BITS)
#define BUCKETS   ((42 - HALF_BITS + 1) * HALF)

/* Values below 2 * HALF are their own index; each octave above takes HALF buckets more. */
static size_t bucket_of(uint64_t value) {
    if (value < 2 * HALF)
        return (size_t)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - HALF_BITS;
    return (size_t)shift * HALF + (size_t)(value >> shift);
}

/* The middle of a bucket, the inverse of bucket_of. */
static double middle_of(size_t bucket) {
    if (bucket < 2 * HALF)
        return (double)bucket;
    size_t shift = bucket / HALF - 1;
    uint64_t low = (uint64_t)(bucket - shift * HALF) << shift;
    return (double)low + (double)((UINT64_C(1) << shift) - 1) / 2;
}

bool qr__hdr_init(qr__hdr *hdr) {
    *hdr = (qr__hdr){.counts = calloc(BUCKETS, sizeof *hdr->counts)};
    return hdr->counts != NULL;
}

void qr__hdr_deinit(qr__hdr *hdr) {
    if (hdr == NULL)
        return;
    free(hdr->counts);
    *hdr = (qr__hdr){0};
}

void qr__hdr_record(qr__hdr *hdr, uint64_t value) {
    value = value > QR_HDR_MAX ? QR_HDR_MAX : value;
    hdr->counts[bucket_of(value)]++;
    if (hdr->total == 0 || value < hdr->min)
        hdr->min = value;
    if (value > hdr->max)
        hdr->max = value;
    hdr->total++;
    hdr->sum += (double)value;
}

double qr__hdr_percentile(const qr__hdr *hdr, double percent) {
    /* Less a hair: 99.9 % of 1000 is 999, not the 999.0000000000001 of binary fractions. */
    uint64_t rank = (uint64_t)ceil(percent / 100 * (double)hdr->total - 1e-6);
    uint64_t seen = 0;
    if (hdr->total == 0)
        return 0;
    rank = rank == 0 ? 1 : rank;
    for (size_t bucket = 0; bucket < BUCKETS; bucket++) {
        seen += hdr->counts[bucket];
        if (seen >= rank)
            return fmin(fmax(middle_of(bucket), (double)hdr->min), (double)hdr->max);
    }
    return (double)hdr->max;
}

double qr__hdr_mean(const qr__hdr *hdr) {
    return hdr->total == 0 ? 0 : hdr->sum / (double)hdr->total;
}

/* engine/cpu/peaks_f32__ref.c: f32 multiply-adds and reading by four lanes of portable vectors,
 * which every 64-bit machine has. */
#include <string.h>

typedef float four __attribute__((vector_size(16)));

#if defined(__x86_64__)
#define QR_PEAK_REGISTER(v) "+x"(v)
#elif defined(__aarch64__)
#define QR_PEAK_REGISTER(v) "+w"(v)
#else
#define QR_PEAK_REGISTER(v) "+m"(v)
#endif
#define QR_PEAK_NAME           qr__peak_f32__ref
#define QR_PEAK_VECTOR         four
#define QR_PEAK_START          ((four){0.5f, 0.5f, 0.5f, 0.5f})
#define QR_PEAK_MAC(sum, a, b) ((sum) + (a) * (b))
#define QR_PEAK_FLOAT(sum)     ((sum)[0])
#include "engine/cpu/peaks_loop.h"

uint64_t qr__peak_read__ref(const void *from, size_t bytes) {
    uint64_t sums[8] = {0};
    for (const char *p = from, *end = p + bytes; p < end; p += sizeof sums) {
        uint64_t line[8];
        memcpy(line, p, sizeof line);
        for (int i = 0; i < 8; i++)
            sums[i] ^= line[i];
    }
    uint64_t total = 0;
    for (int i = 0; i < 8; i++)
        total ^= sums[i];
    return total;
}

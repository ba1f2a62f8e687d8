/* engine/cpu/peaks.c: what this machine can do at most, measured: the best of several short bursts
 * that all threads run at once.
 *
 * A burst's rate is the threads' work together over the time from the first start to the last end,
 * so that a thread that was not scheduled counts against it. The buffer of the read bursts is
 * shared out among the threads, as a matrix's panels are. */
#include "engine/cpu/peaks.h"

#include "engine/cpu/memory_huge.h"
#include "engine/cpu/target.h"

#include <pthread.h>
#include <stdlib.h>

#define BURSTS     8
#define TURNS      400000             /* about 1.3 ms at 3.7 GHz */
#define READ_BYTES ((size_t)64 << 20) /* a burst, all threads: 1 to 3 ms */
#define UNIT       ((size_t)1024)     /* of the read loops */

static const qr__peak table[] = {
    {QR_ISA_REF, QR_PRECISION_F32, 2.0 * 4 * QR_PEAK_SUMS, qr__peak_f32__ref},
#if defined(__x86_64__)
    {QR_ISA_AVX2, QR_PRECISION_F32, 2.0 * 8 * QR_PEAK_SUMS, qr__peak_f32__avx2},
    {QR_ISA_AVX512F, QR_PRECISION_F32, 2.0 * 16 * QR_PEAK_SUMS, qr__peak_f32__avx512f},
    {QR_ISA_AVX512BF16, QR_PRECISION_BF16, 2.0 * 32 * QR_PEAK_SUMS, qr__peak_bf16__avx512bf16},
    {QR_ISA_AVX2, QR_PRECISION_INT8, 2.0 * 64 * QR_PEAK_SUMS, qr__peak_int8__avx2},
    {QR_ISA_AVX2, QR_PRECISION_INT8, 2.0 * 64 * QR_PEAK_SUMS, qr__peak_int8_halves__avx2},
    {QR_ISA_AVX512F, QR_PRECISION_INT8, 2.0 * 128 * QR_PEAK_SUMS, qr__peak_int8__avx512f},
    {QR_ISA_AVX2VNNI, QR_PRECISION_INT8, 2.0 * 32 * QR_PEAK_SUMS, qr__peak_int8__avx2vnni},
    {QR_ISA_AVX512VNNI, QR_PRECISION_INT8, 2.0 * 64 * QR_PEAK_SUMS, qr__peak_int8__avx512vnni},
    {QR_ISA_AMX, QR_PRECISION_BF16, 2.0 * 16 * 16 * 32 * 4, qr__peak_bf16__amx},
    {QR_ISA_AMX, QR_PRECISION_INT8, 2.0 * 16 * 16 * 64 * 4, qr__peak_int8__amx},
#elif defined(__aarch64__)
    {QR_ISA_NEON, QR_PRECISION_F32, 2.0 * 8 * QR_PEAK_SUMS, qr__peak_f32__neon},
    {QR_ISA_NEONDOT, QR_PRECISION_INT8, 2.0 * 32 * QR_PEAK_SUMS, qr__peak_int8__neondot},
    {QR_ISA_NEONI8MM, QR_PRECISION_BF16, 2.0 * 32 * QR_PEAK_SUMS, qr__peak_bf16__neoni8mm},
    {QR_ISA_NEONI8MM, QR_PRECISION_INT8, 2.0 * 64 * QR_PEAK_SUMS, qr__peak_int8__neoni8mm},
#endif
};

/* The highest instruction set that has a loop; REF where none has. */
static qr__isa best_isa(qr__isa isa, qr_precision precision) {
    qr__isa best = QR_ISA_REF;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].precision == precision && qr__isa_includes(isa, table[i].isa))
            best = table[i].isa; /* later ones are faster */
    return best;
}

static qr__peak_read *best_read(qr__isa isa) {
#if defined(__x86_64__)
    if (qr__isa_includes(isa, QR_ISA_AVX512F))
        return qr__peak_read__avx512f;
    if (qr__isa_includes(isa, QR_ISA_AVX2))
        return qr__peak_read__avx2;
#elif defined(__aarch64__)
    if (qr__isa_includes(isa, QR_ISA_NEON))
        return qr__peak_read__neon;
#endif
    (void)isa;
    return qr__peak_read__ref;
}

/* One kind of burst: arithmetic where `peak` is given, else reading. */
typedef struct measure {
    const qr__peak *peak;
    qr__peak_read *read;
    const char *buffer;
    size_t bytes; /* of the buffer */
    size_t repeats;
    int threads;
    pthread_mutex_t gate; /* held until all threads have started, or could not */
    bool abandoned;
    pthread_barrier_t barrier;
    uint64_t *begin, *end; /* [threads] of the current burst */
    double rate;           /* the best so far; written by thread 0 between barriers */
} measure;

typedef struct member {
    measure *measure;
    int rank;
} member;

static uint64_t sink; /* what no compiler may drop */

/* Where this rank's part of the buffer begins, in whole units of the read loops. */
static size_t share_at(const measure *m, int rank) {
    return m->bytes / UNIT * (size_t)rank / (size_t)m->threads * UNIT;
}

/* One thread's part of one burst. Results go into a sink, or the compiler would drop the loop. */
static void burst(measure *m, int rank) {
    if (m->peak != NULL) {
        __atomic_fetch_xor(&sink, m->peak->loop(TURNS) > 0, __ATOMIC_RELAXED);
        return;
    }
    const size_t at = share_at(m, rank), bytes = share_at(m, rank + 1) - at;
    for (size_t i = 0; i < m->repeats; i++)
        __atomic_fetch_xor(&sink, m->read(m->buffer + at, bytes), __ATOMIC_RELAXED);
}

/* Keeps the best burst so far: anything slower is the machine doing something else as well. */
static void judge(measure *m) {
    uint64_t begin = m->begin[0], end = m->end[0];
    for (int i = 1; i < m->threads; i++) {
        begin = m->begin[i] < begin ? m->begin[i] : begin;
        end = m->end[i] > end ? m->end[i] : end;
    }
    const double work = m->peak != NULL ? m->peak->operations * TURNS * m->threads
                                        : (double)share_at(m, m->threads) * (double)m->repeats;
    const double rate = work / ((double)(end - begin + 1) / (double)QR_NS_PER_S);
    m->rate = rate > m->rate ? rate : m->rate;
}

static void *member_run(void *argument) {
    member *self = argument;
    measure *m = self->measure;
    pthread_mutex_lock(&m->gate);
    pthread_mutex_unlock(&m->gate);
    if (m->abandoned)
        return NULL;
    for (int i = 0; i < BURSTS; i++) {
        pthread_barrier_wait(&m->barrier);
        m->begin[self->rank] = qr_clock_ns();
        burst(m, self->rank);
        m->end[self->rank] = qr_clock_ns();
        pthread_barrier_wait(&m->barrier);
        if (self->rank == 0)
            judge(m);
    }
    return NULL;
}

/* Runs the bursts on m->threads threads, the caller's among them. */
static qr_status run(measure *m) {
    const size_t n = (size_t)m->threads;
    pthread_t *threads = calloc(n, sizeof *threads);
    member *members = calloc(n, sizeof *members);
    uint64_t *times = calloc(2 * n, sizeof *times);
    qr_status status = QR_NO_MEMORY;
    if (threads != NULL && members != NULL && times != NULL) {
        m->begin = times;
        m->end = times + n;
        m->abandoned = false;
        pthread_mutex_init(&m->gate, NULL);
        pthread_barrier_init(&m->barrier, NULL, (unsigned)n);
        pthread_mutex_lock(&m->gate);
        size_t started = 1;
        for (size_t i = 0; i < n; i++)
            members[i] = (member){m, (int)i};
        while (started < n &&
               pthread_create(&threads[started], NULL, member_run, &members[started]) == 0)
            started++;
        m->abandoned = started < n;
        pthread_mutex_unlock(&m->gate);
        member_run(&members[0]);
        for (size_t i = 1; i < started; i++)
            pthread_join(threads[i], NULL);
        pthread_barrier_destroy(&m->barrier);
        pthread_mutex_destroy(&m->gate);
        status = m->abandoned ? QR_NO_MEMORY : QR_OK;
    }
    free(threads);
    free(members);
    free(times);
    return status;
}

/* Of several loops the one counts that is faster on this CPU. */
static qr_status measure_arithmetic(qr__isa isa, int threads, qr_precision precision,
                                    double *rate) {
    const qr__isa best = best_isa(isa, precision);
    *rate = 0;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        measure m = {.peak = &table[i], .threads = threads};
        if (table[i].isa != best || table[i].precision != precision)
            continue;
        qr_status status = run(&m);
        if (status != QR_OK)
            return status;
        *rate = m.rate > *rate ? m.rate : *rate;
    }
    return QR_OK;
}

static qr_status measure_read(qr__isa isa, int threads, size_t bytes, double *rate) {
    qr__memory_huge *memory;
    *rate = 0;
    qr_status status = qr__memory_huge_create(&memory, NULL);
    if (status != QR_OK)
        return status;
    measure m = {.read = best_read(isa), .threads = threads};
    m.bytes = qr_round_up(qr_max(bytes, UNIT * (size_t)threads), UNIT);
    m.repeats = qr_max(READ_BYTES / m.bytes, 1);
    char *buffer = qr__memory_huge_alloc(memory, m.bytes);
    if (buffer == NULL) {
        status = QR_NO_MEMORY;
    } else {
        memset(buffer, 1, m.bytes);
        m.buffer = buffer;
        status = run(&m);
        *rate = m.rate;
    }
    qr__memory_huge_destroy(memory);
    return status;
}

qr_status qr_peaks_measure(const char *target, int threads, size_t footprint_bytes, qr_peaks *out) {
    qr__isa isa;
    if (threads < 1 || threads > QR_LIMIT_THREADS || footprint_bytes > QR_LIMIT_WEIGHTS_FILE_BYTES)
        return QR_BAD_OPTION;
    qr_status status = qr__target_choose(target, &isa, NULL);
    if (status == QR_OK)
        status = measure_arithmetic(isa, threads, QR_PRECISION_F32, &out->f32_flops);
    if (status == QR_OK)
        status = measure_arithmetic(isa, threads, QR_PRECISION_BF16, &out->bf16_flops);
    if (status == QR_OK)
        status = measure_arithmetic(isa, threads, QR_PRECISION_INT8, &out->int8_ops);
    if (status == QR_OK)
        status = measure_read(isa, threads, footprint_bytes, &out->read_bytes);
    return status;
}

/* engine/cpu/kernels/attention_int8_body.h: attention of one sequence and one head with int8 dot
 * products, for int8 plans.
 *
 * The including file says how products are made, and of how many blocks of queries at once, by
 * including attention_int8_vnni_body.h or attention_int8_tiles_body.h first, and gives what
 * does not fit to another kernel. About 18 operations a key and block of 16 queries go into the
 * power, whatever the products take. */

/* Below, packing costs more than it saves. */
#define FEWEST_KEYS 32u

/* 255 * 127 * keys stays below 2^31. */
#define MOST_KEYS 65536u

/* Blocks of queries that are scored at once; where it is more than one, all_scores takes their
 * number. */
#if !defined(BLOCKS)
#define BLOCKS                    1u
#define ALL_SCORES(b, n, keys, D) all_scores(b, keys, D)
#else
#define ALL_SCORES(b, n, keys, D) all_scores(b, n, keys, D)
#endif

/* D is a constant where it is inlined with one. */
ALWAYS_INLINE void attend(const qr__attention *a, size_t D) {
    block b[2] = {cut_scratch(a, D)};
    pack_keys(b, a, D);
    pack_values(b, a, D);
    b[1] = b[0];
    b[1].q = b[0].q_beside;
    b[1].score = b[0].score_beside;
    for (size_t first = 0; first < a->queries; first += BLOCKS * LANES) {
        const size_t left = a->queries - first, blocks = left > LANES ? BLOCKS : 1;
        for (size_t i = 0; i < blocks; i++)
            pack_queries(&b[i], a, a->q + (first + i * LANES) * a->ld_q,
                         qr_min(left - i * LANES, LANES), D);
        ALL_SCORES(b, blocks, a->keys, D);
        for (size_t i = 0; i < blocks; i++) {
            all_powers(&b[i], a->keys);
            mix(&b[i], a, D, a->out + (first + i * LANES) * a->ld_out,
                qr_min(left - i * LANES, LANES));
        }
    }
}

ALWAYS_INLINE bool fits_int8(const qr__attention *a) {
    return a->D % 16 == 0 && a->keys >= FEWEST_KEYS && a->keys <= MOST_KEYS;
}

/* For what fits. */
ALWAYS_INLINE void attend_int8(const qr__attention *a) {
    if (a->D == 32)
        attend(a, 32);
    else if (a->D == 64)
        attend(a, 64);
    else
        attend(a, a->D);
}

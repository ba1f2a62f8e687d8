/* engine/cpu/kernels/attention_int8_body.h: attention of one sequence and one head with int8 dot
 * products, for int8 plans.
 *
 * The including file says how products are made, by including attention_int8_vnni_body.h or
 * attention_int8_tiles_body.h first, and gives what does not fit to another kernel. About 18
 * operations a key and block of 16 queries go into the power, whatever the products take. */

/* Below, packing costs more than it saves. */
#define FEWEST_KEYS 32u

/* 255 * 127 * keys stays below 2^31. */
#define MOST_KEYS 65536u

/* D is a constant where it is inlined with one. */
ALWAYS_INLINE void attend(const qr__attention *a, size_t D) {
    block b = cut_scratch(a, D);
    pack_keys(&b, a, D);
    pack_values(&b, a, D);
    for (size_t first = 0; first < a->queries; first += LANES) {
        size_t queries = qr_min(a->queries - first, LANES);
        pack_queries(&b, a, a->q + first * a->ld_q, queries, D);
        all_scores(&b, a->keys, D);
        all_powers(&b, a->keys);
        mix(&b, a, D, a->out + first * a->ld_out, queries);
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

/* engine/cpu/kernels/attention_mix_body.h: out[queries][D] of a block whose powers are there, for
 * kernels of AVX-512 that mix groups of queries and 16 or 32 columns at a time.
 *
 * The including file defines OUT_QUERIES, block (with `total`, the sum of each query's powers) and
 * mix_values(b, a, D, query, scale, out, d, n, vectors): out[n][d..d + 16 * vectors) of the n
 * queries from `query` on, scale[n] being 1 / total. */
ALWAYS_INLINE void mix(const block *b, const qr__attention *a, size_t D, float *out,
                       size_t queries) {
    float scale[LANES];
    _mm512_storeu_ps(scale, _mm512_div_ps(_mm512_set1_ps(1.0f), b->total));
    size_t group = qr__attention_group(queries, OUT_QUERIES);
    for (size_t q = 0; q < queries; q += group) {
        size_t d = 0;
#define GROUP(n) mix_values(b, a, D, q, scale + q, out + q * a->ld_out, d, n, 2)
        for (; d + 32 <= D; d += 32)
            WITH_CONSTANT(qr_min(queries - q, group), GROUP)
#undef GROUP
#define GROUP(n) mix_values(b, a, D, q, scale + q, out + q * a->ld_out, d, n, 1)
        if (d < D)
            WITH_CONSTANT(qr_min(queries - q, group), GROUP)
#undef GROUP
    }
}

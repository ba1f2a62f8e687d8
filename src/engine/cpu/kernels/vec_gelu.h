/* engine/cpu/kernels/vec_gelu.h: GELU over qr__vec (include vec_avx512f.h, vec_avx2.h or
 * vec_neon.h first), both forms, without exp or division.
 *
 * gelu(x) = max(x, 0) - g(|x|) where g(a) = a * (1 - Phi(a)) is smooth, at most 0.17, and gone
 * at 5.5. g is one minimax polynomial in each of as many intervals of equal width as one
 * permutation can choose among (QR_VEC_TABLE), which looks its coefficients up: of degree 4 in 16
 * intervals, of degree 6 in 8. (Two permutations and a blend a coefficient, for 16 intervals on
 * AVX2, take twice the time of a whole polynomial of degree 6.) The tanh form differs by its
 * table alone. Absolute error at most 2.5e-7 for every x, against either form in exact arithmetic;
 * NaN stays NaN; +inf stays, -inf becomes -1e-7. About 15 or 20 operations a vector, five or seven
 * of them multiply-adds. */
#ifndef QR_ENGINE_CPU_VEC_GELU_H
#define QR_ENGINE_CPU_VEC_GELU_H

#define QR_GELU_DEGREE (QR_VEC_TABLE == 16 ? 4 : 6)

typedef struct qr__gelu_table {
    /* c[power][interval], of the place in the interval, -1/2..1/2 */
    _Alignas(64) float c[QR_GELU_DEGREE + 1][QR_VEC_TABLE];
} qr__gelu_table;

/* clang-format off */
#if QR_VEC_TABLE == 16
static const qr__gelu_table QR_GELU_ERF_TABLE = {{
    {0.0742101073f, 0.156264365f, 0.16763556f, 0.137714475f, 0.09427692f, 0.0554656647f, 0.0284418166f, 0.0128052961f, 0.00508305663f, 0.00178340334f, 0.000553922902f, 0.000152466324f, 3.72158393e-05f, 8.05976742e-06f, 1.54920394e-06f, 2.64359784e-07f},
    {0.125196412f, 0.0422693379f, -0.0144080445f, -0.0406616032f, -0.0431728587f, -0.0333245359f, -0.020872388f, -0.0110320225f, -0.00501188822f, -0.0019768863f, -0.000681144418f, -0.000205821343f, -5.46903793e-05f, -1.28038455e-05f, -2.64483515e-06f, -4.82564587e-07f},
    {-0.045763094f, -0.0357860327f, -0.02055314f, -0.00631513074f, 0.00279862667f, 0.00621315185f, 0.00581167173f, 0.00394639466f, 0.00215730257f, 0.000987137435f, 0.000385422492f, 0.000129823311f, 3.79860357e-05f, 9.70003657e-06f, 2.16887997e-06f, 4.25665689e-07f},
    {0.00180118287f, 0.00451883906f, 0.00520179467f, 0.00400982564f, 0.00203558546f, 0.000377206568f, -0.000482468982f, -0.000658944424f, -0.000500655267f, -0.000285232876f, -0.000131675217f, -5.0896655e-05f, -1.67596991e-05f, -4.75061006e-06f, -1.16706951e-06f, -2.49671274e-07f},
    {0.000863053894f, 0.000447617524f, -9.79253236e-05f, -0.000450900523f, -0.000490545353f, -0.000320097082f, -0.000116059869f, 1.28672646e-05f, 5.5139808e-05f, 4.82145369e-05f, 2.84615162e-05f, 1.31023762e-05f, 4.9492869e-06f, 1.5723017e-06f, 4.2605123e-07f, 9.93627864e-08f},
}};

static const qr__gelu_table QR_GELU_TANH_TABLE = {{
    {0.0742103904f, 0.156283617f, 0.167738959f, 0.137928799f, 0.0944811702f, 0.0554606989f, 0.0281495489f, 0.0123441564f, 0.00464504166f, 0.00148377905f, 0.000397024938f, 8.76793129e-05f, 1.57324739e-05f, 2.25681742e-06f, 2.54593459e-07f, 2.22135004e-08f},
    {0.125198662f, 0.0423157178f, -0.0142917084f, -0.0405846126f, -0.0432859287f, -0.03360698f, -0.0211276524f, -0.0111019444f, -0.00491101667f, -0.00182113517f, -0.000560427783f, -0.000141241486f, -2.87233488e-05f, -4.64025061e-06f, -5.85968678e-07f, -5.68955798e-08f},
    {-0.0457565449f, -0.0357491896f, -0.0205336027f, -0.00637887046f, 0.00268886145f, 0.00617049634f, 0.00587731507f, 0.00404958474f, 0.0022160653f, 0.000986357569f, 0.000357558718f, 0.000104737701f, 2.44969197e-05f, 4.51192136e-06f, 6.44797467e-07f, 7.04073102e-08f},
    {0.00180912588f, 0.00452501234f, 0.00518235797f, 0.00398162799f, 0.00203898037f, 0.00041298705f, -0.000454392924f, -0.000662491017f, -0.000521650945f, -0.000300647487f, -0.000134727015f, -4.75417364e-05f, -1.31741072e-05f, -2.84160797e-06f, -4.71611145e-07f, -5.94473839e-08f},
    {0.000866192393f, 0.000443228841f, -0.000104405313f, -0.000447600149f, -0.00047996029f, -0.000316403428f, -0.000122750003f, 5.50000732e-06f, 5.40770998e-05f, 5.12809565e-05f, 3.10490577e-05f, 1.3757749e-05f, 4.60370484e-06f, 1.1691385e-06f, 2.24288058e-07f, 3.22131761e-08f},
}};

#else
static const qr__gelu_table QR_GELU_ERF_TABLE = {{
    {0.125646517f, 0.155937165f, 0.0736139789f, 0.0193910431f, 0.003057305f, 0.000295018632f, 1.75796085e-05f, 6.49539118e-07f},
    {0.162421063f, -0.0622359104f, -0.0781814232f, -0.0309546329f, -0.00640472909f, -0.000761211326f, -5.37915985e-05f, -2.29758052e-06f},
    {-0.167242914f, -0.0518818349f, 0.0205374062f, 0.0197596643f, 0.00595957041f, 0.000910986215f, 7.80912305e-05f, 3.9076217e-06f},
    {0.0271661729f, 0.0384412706f, 0.0088740224f, -0.00514609693f, -0.00311039877f, -0.000661082042f, -7.09826127e-05f, -4.22397761e-06f},
    {0.0111523028f, -0.00504338322f, -0.00674242573f, -0.000618398422f, 0.00088732969f, 0.000316259131f, 4.49979671e-05f, 3.27584462e-06f},
    {-0.00268006232f, -0.00226727012f, 0.00110381888f, 0.000825524447f, -4.68647377e-05f, -9.84148792e-05f, -2.1436661e-05f, -2.05621313e-06f},
    {-0.000655016338f, 0.000640441198f, 0.000253528182f, -0.000203437725f, -5.9721955e-05f, 1.59301508e-05f, 7.07432309e-06f, 9.17819364e-07f},
}};

static const qr__gelu_table QR_GELU_TANH_TABLE = {{
    {0.125650749f, 0.156100795f, 0.073735334f, 0.0189906433f, 0.00268172799f, 0.000191292595f, 6.13394968e-06f, 7.77316345e-08f},
    {0.162453502f, -0.0619995929f, -0.0786114484f, -0.0312986672f, -0.00611778069f, -0.000577568193f, -2.38166613e-05f, -3.79619763e-07f},
    {-0.167153999f, -0.0519554019f, 0.0201812778f, 0.0201472547f, 0.00606605178f, 0.0007955326f, 4.33785644e-05f, 8.83735595e-07f},
    {0.0272573158f, 0.0382057875f, 0.00906246807f, -0.00504515553f, -0.00327472761f, -0.000651044887f, -4.87867619e-05f, -1.28631439e-06f},
    {0.0111473333f, -0.00508540031f, -0.00660174154f, -0.000755189743f, 0.000914228847f, 0.000341668521f, 3.77651195e-05f, 1.34991126e-06f},
    {-0.00272926735f, -0.00220349478f, 0.00105877477f, 0.000821456895f, -2.03019663e-05f, -0.000110945926f, -2.17518918e-05f, -1.19558047e-06f},
    {-0.00065989868f, 0.000656623452f, 0.00022765118f, -0.000179501745f, -7.03432815e-05f, 1.64278681e-05f, 8.30032604e-06f, 6.97084488e-07f},
}};

#endif
/* clang-format on */

static inline __attribute__((always_inline)) qr__vec qr__vec_gelu(qr__vec x,
                                                                  const qr__gelu_table *table) {
    /* Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits: the interval's number.
     */
    const qr__vec magic = qr__vec_set(12582912.0f);
    const qr__vec intervals = qr__vec_set(QR_VEC_TABLE / 5.5f); /* to one of |x| */
#if QR_VEC_TABLE == 16
    qr__vec u =
        qr__vec_fma(qr__vec_abs_min(x, qr__vec_set(5.4999f)), intervals, qr__vec_set(-0.5f));
    qr__vec index = qr__vec_add(u, magic), d = qr__vec_off_integer(u);
#else
    qr__vec u = qr__vec_fma(qr__vec_abs(x), intervals, qr__vec_set(-0.5f));
    u = qr__vec_min(qr__vec_set(QR_VEC_TABLE - 0.5001f), u);
    qr__vec index = qr__vec_add(u, magic);
    qr__vec d = qr__vec_sub(u, qr__vec_sub(index, magic));
#endif
    qr__vec g = qr__vec_lookup(table->c[QR_GELU_DEGREE], index);
    for (size_t power = QR_GELU_DEGREE; power-- > 0;)
        g = qr__vec_fma(g, d, qr__vec_lookup(table->c[power], index));
    return qr__vec_sub(qr__vec_max(qr__vec_set(0.0f), x), g);
}

#endif

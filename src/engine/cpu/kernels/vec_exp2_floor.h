/* engine/cpu/kernels/vec_exp2_floor.h: 2^x to degree 3 for what is left of x above its floor, over
 * qr__vec (include vec_math.h first). Half of a polynomial around 0 would do as well, but the floor
 * is what AVX-512's scaling takes of x by itself, and its reduction gives the rest at once. */
#ifndef QR_ENGINE_CPU_VEC_EXP2_FLOOR_H
#define QR_ENGINE_CPU_VEC_EXP2_FLOOR_H

/* 2^x for x in 0..1, minimax for the relative error: at most 7.5e-5 of the result. NaN stays. */
static inline __attribute__((always_inline)) qr__vec qr__vec_exp2_above_floor(qr__vec x) {
    qr__vec p = qr__vec_fma(qr__vec_set(0.0780245215f), x, qr__vec_set(0.226067156f));
    p = qr__vec_fma(p, x, qr__vec_set(0.695833564f));
    return qr__vec_fma(p, x, qr__vec_set(0.999925196f));
}

#endif

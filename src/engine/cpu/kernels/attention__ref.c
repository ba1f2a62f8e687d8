/* engine/cpu/kernels/attention__ref.c: softmax(q * k^T) * v of one head, powers of 2, in plain C.
 */
#include "engine/cpu/kernels/kernel_list.h"

#include <math.h>

void qr__attention_f32__ref(const qr__attention *a) {
    float *p = a->scratch; /* [keys] */
    for (size_t i = 0; i < a->queries; i++) {
        const float *q = a->q + i * a->ld_q;
        float *out = a->out + i * a->ld_out;
        float largest = -INFINITY;
        for (size_t j = 0; j < a->keys; j++) {
            double score = 0;
            for (size_t d = 0; d < a->D; d++)
                score += (double)q[d] * (double)a->k[j * a->ld_kv + d];
            p[j] = (float)score;
            largest = p[j] > largest ? p[j] : largest;
        }
        double sum = 0;
        for (size_t j = 0; j < a->keys; j++) {
            p[j] = exp2f(p[j] - largest);
            sum += (double)p[j];
        }
        for (size_t d = 0; d < a->D; d++) {
            double mixed = 0;
            for (size_t j = 0; j < a->keys; j++)
                mixed += (double)p[j] * (double)a->v[j * a->ld_kv + d];
            out[d] = (float)(mixed / sum);
        }
    }
}

/* engine/cpu/smooth.h: SmoothQuant (Xiao et al. 2023, "SmoothQuant: Accurate and Efficient
 * Post-Training Quantization for Large Language Models"): an int8 row has one scale, so a channel
 * whose values are ten times the others' leaves these a tenth of the codes. Half of that, on a
 * logarithmic scale, is moved into the weights, which have a scale a column and room to spare:
 *
 *     x * W^T = (x / s) * (W * s)^T        s[k] = sqrt(max |x[k]| / max |W[.][k]|)
 *
 * max |x[k]| is what some texts gave (qr_backend.calibrate). In BERT a layer norm's output is also
 * the residual, so s cannot hide in its gamma: the row conversion multiplies by 1 / s.
 */
#ifndef QR_ENGINE_CPU_SMOOTH_H
#define QR_ENGINE_CPU_SMOOTH_H

#include "engine/cpu/matrix.h"

/** s [in], of mean 1 and above 0, for the matrix of `blocks` (their weights as they are, without
 * their scale). ranges [in]: max |x[k]|. */
void qr__smooth(const float *ranges, const qr__matrix_rows *blocks, size_t blocks_len, size_t in,
                float *out);

#endif

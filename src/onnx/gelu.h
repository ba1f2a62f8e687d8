/* onnx/gelu.h: ONNX Runtime's operators of the GELU family, for the table of ops_norm.c. Private to
 * onnx/. */
#ifndef QR_ONNX_GELU_H
#define QR_ONNX_GELU_H

#include "onnx/op.h"

/** Gelu: x Phi(x), by erf. */
qr_status qr__op_gelu(qr__op_call *call);

/** BiasGelu: Gelu of x + bias. */
qr_status qr__op_bias_gelu(qr__op_call *call);

/** FastGelu: by tanh, of x + bias where there is one. */
qr_status qr__op_fast_gelu(qr__op_call *call);

/** QuickGelu: x sigmoid(alpha x). */
qr_status qr__op_quick_gelu(qr__op_call *call);

#endif

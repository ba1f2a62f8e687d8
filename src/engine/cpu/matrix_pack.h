/* engine/cpu/matrix_pack.h: weights into the panels that kernels/gemm.h describes. */
#ifndef QR_ENGINE_CPU_MATRIX_PACK_H
#define QR_ENGINE_CPU_MATRIX_PACK_H

#include "engine/cpu/kernels/gemm.h"

/** Fills panels [begin, end) of `panels` (zeroed memory of shape->panels * shape->panel_bytes).
 * Disjoint ranges may be packed by different threads. */
void qr_matrix_pack_panels(const qr_gemm_kernel *kernel, const qr_gemm_shape *shape,
                           const qr_matrix_source *source, void *panels, size_t begin, size_t end);

#endif

/* engine/cpu/matrix_pack.h: weights into the panels that kernels/gemm.h describes. */
#ifndef QR_ENGINE_CPU_MATRIX_PACK_H
#define QR_ENGINE_CPU_MATRIX_PACK_H

#include "engine/cpu/matrix.h"

/** Fills all panels, zeroed memory of shape->panels * shape->panel_bytes. QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__matrix_pack_panels(const qr__gemm_kernel *kernel,
                                             const qr__gemm_shape *shape,
                                             const qr__matrix_source *source, void *panels);

#endif

/* engine/cpu/memory_huge.h: memory in 2 MB pages where the system has them: for packed weights,
 * filled front to back, and for workspaces.
 *
 *     qr__memory_huge *memory;
 *     status = qr__memory_huge_create(&memory, &error);
 *     void *panels = qr__memory_huge_alloc(memory, bytes);    // 64-byte aligned and zeroed
 *     qr__memory_huge_destroy(memory);                       // with all that was allocated from it
 *
 * Large pages read 40 % faster than small ones at 21 MB (page walks), and matrices packed in the
 * order of the forward pass stream as one. Nothing is freed alone. Thread-safe.
 */
#ifndef QR_ENGINE_CPU_MEMORY_HUGE_H
#define QR_ENGINE_CPU_MEMORY_HUGE_H

#include "base/base.h"

/** So many bytes, zero, aligned to 2 MB; what is never touched costs nothing. NULL: no memory. */
void *qr__memory_huge_map(size_t bytes);

/** Of what qr__memory_huge_map returned for as many bytes. */
void qr__memory_huge_unmap(void *base, size_t bytes);

typedef struct qr__memory_huge qr__memory_huge;

/** Empty. QR_NO_MEMORY. *out: returns owned. */
QR_MUST_USE qr_status qr__memory_huge_create(qr__memory_huge **out, qr_error *error);

/** NULL: no memory. */
void *qr__memory_huge_alloc(qr__memory_huge *memory, size_t bytes);

/** Bytes handed out so far. */
size_t qr__memory_huge_used(const qr__memory_huge *memory);

/** NULL is allowed. */
void qr__memory_huge_destroy(qr__memory_huge *memory);

#endif

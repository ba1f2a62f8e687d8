/* server/budget.h: X-Request-Budget-Ms: how many milliseconds a request may take.
 *
 *     uint64_t ns;
 *     const char *fault = qr__budget_parse(text, &ns);      // "0.25" -> 250000
 *     if (fault != NULL)
 *         ...                                               // "it is negative"
 */
#ifndef QR_SERVER_BUDGET_H
#define QR_SERVER_BUDGET_H

#include "base/base.h"

#define QR__BUDGET_MUST "milliseconds, such as 250 or 0.25"

/** Reads a decimal number of milliseconds, a fraction allowed (what is below a nanosecond is
 * dropped), at most QR_LIMIT_BUDGET_MS. NULL: *out is the budget in nanoseconds; else what is wrong
 * with the text, for a sentence of ours. */
const char *qr__budget_parse(qr_text text, uint64_t *out);

#endif

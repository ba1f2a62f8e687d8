/* server/inflight.h: how much memory requests may hold at a time, all together: bodies, what is
 * made of them, and answers until they are sent.
 *
 *     status = qr__inflight_init(config, memory_limit_bytes, &quota, &error);
 *     status = qr__inflight_fit(config, &group, models, len, &quota, &error);   // at start, once
 *
 * Threads: any; qr__inflight_fit before requests come.
 */
#ifndef QR_SERVER_INFLIGHT_H
#define QR_SERVER_INFLIGHT_H

#include "config/config.h"
#include "server/memory_start.h"

/** What --inflight-bytes says; by default, under a memory limit (0: none), no more than a quarter
 * of it. QR_BAD_OPTION: a body of --max-body-bytes would never get in. */
QR_MUST_USE qr_status qr__inflight_init(const qr_config *config, uint64_t memory_limit_bytes,
                                        qr_quota *out, qr_error *error);

/** Makes the default do with half of what the group leaves beside these models, if that is enough
 * for any body. QR_NO_MEMORY, with the sum: it is not, or does not hold what the option asks
 * for. */
QR_MUST_USE qr_status qr__inflight_fit(const qr_config *config, const qr__memory_group *group,
                                       const qr__memory_item *models, size_t len, qr_quota *quota,
                                       qr_error *error);

#endif

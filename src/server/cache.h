/* server/cache.h: results of sequences that were computed lately, for requests that ask again.
 *
 *     if (cache != NULL && qr__cache_find(cache, &ticket, model->number))
 *         ...                                        // every job has its result: nothing to run
 *     ...
 *     qr__cache_add(cache, &ticket, model->number);  // it was run
 *
 * What is kept are the engine's floats, before an answer is made of them, by the model of one
 * generation, the token ids and the segments, all of which are compared: so an answer has the same
 * bits as if it were computed, whatever else it asks for (dimensions, format), and texts of
 * equal ids share an entry without sharing their words. Bounded in bytes; what was asked for again
 * since the last time round stays (CLOCK, Corbató 1968). Threads: any; one lock, held for copies of
 * a few kilobytes.
 */
#ifndef QR_SERVER_CACHE_H
#define QR_SERVER_CACHE_H

#include "server/ops/ops.h"
#include "server/schedule/schedule.h"

typedef struct qr__cache qr__cache;

/** Tickets of more jobs are neither looked up nor kept: their copies would take too long. */
#define QR__CACHE_JOBS 8u

/** For at most so many bytes, all overhead counted. QR_NO_MEMORY. *out: returns owned. */
QR_MUST_USE qr_status qr__cache_create(size_t bytes_max, qr__cache **out);

/** NULL is allowed. */
void qr__cache_destroy(qr__cache *cache);

/** Gives every job of the ticket its result, in its room; or false, and none. `model` is the served
 * model's number. */
bool qr__cache_find(qr__cache *cache, qr_ticket *ticket, uint64_t model);

/** Keeps the results of a ticket that was run; `floats[i]` is how long the one of job i is. */
void qr__cache_add(qr__cache *cache, const qr_ticket *ticket, uint64_t model, const size_t *floats);

/** What it has done so far, and its size. */
void qr__cache_counts(qr__cache *cache, qr_cache_counts *out);

#endif

/* server/cache.h: results of sequences that were computed lately, for requests that ask again.
 *
 *     qr__key key = qr__key_of(seed, &ticket, model->number);
 *     if (qr__cache_find(cache, &ticket, &key))
 *         ...                                        // every job has its result: nothing to run
 *     ...
 *     qr__cache_add(cache, &ticket, &key, floats);   // it was run
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

#include "server/key.h"
#include "server/ops/ops.h"

typedef struct qr__cache qr__cache;

/** For at most so many bytes, all overhead counted. QR_NO_MEMORY. *out: returns owned. */
QR_MUST_USE qr_status qr__cache_create(size_t bytes_max, qr__cache **out);

/** Lowers the most bytes, before anything is kept. */
void qr__cache_limit(qr__cache *cache, size_t bytes_max);

/** NULL is allowed. */
void qr__cache_destroy(qr__cache *cache);

/** Gives every job of the ticket its result, in its room; or false, and none. `key` is the
 * ticket's. */
bool qr__cache_find(qr__cache *cache, qr_ticket *ticket, const qr__key *key);

/** Keeps the results of a ticket that was run; `floats[i]` is how long the one of job i is. */
void qr__cache_add(qr__cache *cache, const qr_ticket *ticket, const qr__key *key,
                   const size_t *floats);

/** What it has done so far, and its size. */
void qr__cache_counts(qr__cache *cache, qr_cache_counts *out);

#endif

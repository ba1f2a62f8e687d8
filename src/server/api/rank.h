/* server/api/rank.h: scores in order, for what answers the best first.
 *
 * Threads: pure, or one exchange's.
 */
#ifndef QR_SERVER_API_RANK_H
#define QR_SERVER_API_RANK_H

#include "server/exchange.h"

/** A score and whose it is. */
typedef struct qr__ranked {
    float score;
    uint32_t index;
} qr__ranked;

/** The order of equal scores: in text-embeddings-inference by falling index, elsewhere by
 * rising. */
typedef enum qr__ties { QR__TIES_FALL, QR__TIES_RISE } qr__ties;

/** Sorts best first. */
void qr__rank(qr__ranked *items, size_t len, qr__ties ties);

/** The scores of an exchange whose jobs are pairs for a reranker, best first: logits when `raw`,
 * else their sigmoid. NULL: no memory, which exchange->status says. */
qr__ranked *qr__rank_scores(qr_exchange *exchange, bool raw, qr__ties ties);

#endif

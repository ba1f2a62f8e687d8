/* server/serving.h: a generation: what is served at a time, all configured models, with those that
 * are loaded.
 *
 *     const qr_serving_entry entries[] = {{"a", QR_KIND_EMBEDDING, model},
 *                                         {"b", QR_KIND_SPAN, NULL}};
 *     qr_serving_create(entries, 2, &serving);            // "b" is out
 *     qr_served *model = qr_serving_named(serving, name);
 *     ticket->queue = &model->queue;
 *
 *     qr_serving_pin(serving);                            // a user more
 *     ...
 *     qr_serving_unpin(serving);                          // the last one ends it
 *
 * Every request pins the generation that is current when its head arrives, and is answered by it,
 * whatever becomes current meanwhile; a generation that nobody pins any more unpins its models. So
 * one model is replaced under load without a pause by making a generation of the others and the new
 * one, and the others go on with lanes, costs and number. Threads: const after creation but for its
 * pins; any may pin and unpin.
 */
#ifndef QR_SERVER_SERVING_H
#define QR_SERVER_SERVING_H

#include "server/served.h"

typedef struct qr_serving qr_serving;

/** A configured model. */
typedef struct qr_serving_entry {
    const char *name; /* borrowed for the life of the generation */
    qr_kind kind;     /* of the model, or of the one that was there last */
    qr_served *model; /* NULL: it is out */
} qr_serving_entry;

/** Makes a generation of 1 to QR_LIMIT_MODELS entries whose names differ; pins their models. It
 * comes with one pin, the caller's. Cheap enough for the loop. QR_NO_MEMORY. *out: returns
 * owned. */
QR_MUST_USE qr_status qr_serving_create(const qr_serving_entry *entries, size_t len,
                                        qr_serving **out);

/** One user more; whoever calls has a pin already. */
void qr_serving_pin(qr_serving *serving);

/** One user less; the last one ends the generation, and its pins of its models. NULL is allowed. */
void qr_serving_unpin(qr_serving *serving);

#define QR_KIND_BIT(kind) (1u << (kind))
#define QR_ANY_KIND       (~0u)

/** How many models are loaded. */
size_t qr_serving_len(const qr_serving *serving);

/** One of them, in the order in which they are configured. */
qr_served *qr_serving_at(qr_serving *serving, size_t index);

/** The kind of the first configured model. */
qr_kind qr_serving_kind(const qr_serving *serving);

/** The first configured model of these kinds (QR_KIND_BIT): who names none means it. NULL: there is
 * none, or it is out; then no other stands in for it, whose answers would be others. */
qr_served *qr_serving_first(qr_serving *serving, unsigned kinds);

/** The model of that name; NULL: there is none, or it is out. */
qr_served *qr_serving_named(qr_serving *serving, qr_text name);

/** Whether the first configured model of these kinds is out. */
bool qr_serving_first_is_out(const qr_serving *serving, unsigned kinds);

/** Whether the model of that name is configured, but out. */
bool qr_serving_named_is_out(const qr_serving *serving, qr_text name);

/** What the metrics show of the current generation. *labels borrows. Returns how many. */
size_t qr_serving_labels(const qr_serving *serving, const qr_model_labels **labels);

#endif

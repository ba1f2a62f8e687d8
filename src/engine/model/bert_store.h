/* engine/model/bert_store.h: the memory of a qr_bert: one mapping for all weights, given back by
 * page. Private to model/. */
#ifndef QR_ENGINE_MODEL_BERT_STORE_H
#define QR_ENGINE_MODEL_BERT_STORE_H

#include "engine/model/model.h"

/** One tensor that the model is made of: where it comes from, what it must look like, where it
 * goes. */
typedef struct qr__bert_slot {
    char name[128];     /* in the file */
    char old_name[128]; /* what early checkpoints call it; "" when there is no other */
    size_t rows, cols;  /* [rows][cols]; rows 0: a vector [cols] */
    size_t file;        /* 0: the model's own; from 1 on: the Dense modules' */
    const float **to;   /* the qr_bert's pointer */
    size_t at;          /* bytes from the store's base */
} qr__bert_slot;

/** The slots' elements: rows * cols; within limits.h it cannot overflow. */
size_t qr__bert_slot_elements(const qr__bert_slot *slot);

typedef struct qr__bert_store {
    char *base; /* mapped; NULL once released */
    size_t bytes;
    qr__bert_slot *slots; /* owned */
    size_t count;
} qr__bert_store;

/** A store for `slots` (takes them, also when it fails): lays them out and maps zeroed memory.
 * NULL: out of memory. */
qr__bert_store *qr__bert_store_create(qr__bert_slot *slots, size_t count);

/** NULL is allowed. */
void qr__bert_store_destroy(qr__bert_store *store);

#endif

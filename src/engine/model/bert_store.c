/* engine/model/bert_store.c: weights live in one anonymous mapping, so that dropping them gives
 * the memory back at once (malloc's heap would keep it). Large tensors have pages of their own:
 * each can go alone. The layout is for the largest page that a kernel may have, not for this
 * machine's: what is given back is whole pages, so with larger ones than it was made for the
 * beginning of the next tensor would go too. */
#include "engine/model/bert_store.h"

#include <stdlib.h>
#include <sys/mman.h>

#define PAGE_BYTES  65536u /* of aarch64: 4, 16 or 64 KiB; of x86-64: 4 KiB */
#define LARGE_BYTES 65536u /* from here on a tensor has its own pages */

size_t qr__bert_slot_elements(const qr__bert_slot *slot) {
    return (slot->rows == 0 ? 1 : slot->rows) * slot->cols;
}

static size_t slot_bytes(const qr__bert_slot *slot) {
    return qr__bert_slot_elements(slot) * sizeof(float);
}

/* Large tensors begin on a page of their own, so that each can be given back alone; small ones
 * share. */
qr__bert_store *qr__bert_store_create(qr__bert_slot *slots, size_t count) {
    qr__bert_store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        free(slots);
        return NULL;
    }
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        bool large = slot_bytes(&slots[i]) >= LARGE_BYTES;
        slots[i].at = qr_round_up(at, large ? PAGE_BYTES : 64);
        at = slots[i].at + slot_bytes(&slots[i]);
        if (large)
            at = qr_round_up(at, PAGE_BYTES);
    }
    *store = (qr__bert_store){NULL, at, slots, count};
    void *base = mmap(NULL, at, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) {
        qr__bert_store_destroy(store);
        return NULL;
    }
    madvise(base, at, MADV_HUGEPAGE); /* 2 MiB a fault: loading takes half the time (advice only) */
    store->base = base;
    return store;
}

void qr__bert_store_destroy(qr__bert_store *store) {
    if (store == NULL)
        return;
    if (store->base != NULL)
        munmap(store->base, store->bytes);
    free(store->slots);
    free(store);
}

/* One byte a slot says whether its tensor follows. */
qr_status qr_bert_save(const qr_bert *bert, const qr_sink *sink) {
    const qr__bert_store *store = bert->store;
    qr_status status = QR_OK;
    for (size_t i = 0; status == QR_OK && i < store->count; i++) {
        const uint8_t kept = *store->slots[i].to != NULL;
        status = qr_sink_write(sink, &kept, 1);
    }
    for (size_t i = 0; status == QR_OK && i < store->count; i++)
        if (*store->slots[i].to != NULL)
            status = qr_sink_write(sink, *store->slots[i].to, slot_bytes(&store->slots[i]));
    return status;
}

/* MADV_DONTNEED gives the pages back at once; the address range stays and reads as zeros, but
 * nobody has its address any more. */
static void release(const qr__bert_store *store, const qr__bert_slot *slot) {
    if (*slot->to == NULL)
        return;
    *slot->to = NULL;
    if (slot_bytes(slot) >= LARGE_BYTES)
        madvise(store->base + slot->at, slot_bytes(slot), MADV_DONTNEED);
}

void qr_bert_release(qr_bert *bert, const float **tensor) {
    for (size_t i = 0; i < bert->store->count; i++)
        if (bert->store->slots[i].to == tensor)
            release(bert->store, &bert->store->slots[i]);
}

void qr_bert_release_all(qr_bert *bert) {
    for (size_t i = 0; i < bert->store->count; i++)
        release(bert->store, &bert->store->slots[i]);
}

/* pipeline/probe_texts.h: private to pipeline/: the texts of the accuracy gate. */
#ifndef QR_PIPELINE_PROBE_TEXTS_H
#define QR_PIPELINE_PROBE_TEXTS_H

#include <stddef.h>

typedef struct qr__probe_pair {
    const char *question, *passage;
} qr__probe_pair;

extern const char *const qr__probe_queries[];
extern const size_t qr__probe_queries_len;
extern const qr__probe_pair qr__probe_pairs[];
extern const size_t qr__probe_pairs_len;

#endif

/* pipeline/probe_texts.h: private to pipeline/: the texts of the accuracy gate and of the
 * calibration. */
#ifndef QR_PIPELINE_PROBE_TEXTS_H
#define QR_PIPELINE_PROBE_TEXTS_H

#include "pipeline/probes.h"

typedef struct qr__probe_pair {
    const char *question, *passage;
} qr__probe_pair;

typedef struct qr__probe_set {
    const char *const *queries;
    size_t queries_len;
    const qr__probe_pair *pairs;
    size_t pairs_len;
} qr__probe_set;

extern const qr__probe_set qr__probe_sets[QR_PROBE_SETS];

#endif

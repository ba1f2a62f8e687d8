/* server/key.c: a multiplicative hash, word by word, and full comparisons. */
#include "server/key.h"

static uint64_t mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
    return hash ^ (hash >> 32);
}

/* Segments are left to the comparison: few texts differ in nothing else. */
static uint64_t hash_of(uint64_t seed, const qr_job *job, uint64_t model) {
    uint64_t hash = mix(seed, model);
    for (size_t i = 0; i < job->tokens; i++)
        hash = mix(hash, (uint32_t)job->ids[i]);
    return mix(mix(hash, job->tokens), job->skip);
}

qr__key qr__key_of(uint64_t seed, const qr_ticket *ticket, uint64_t model) {
    qr__key key = {.model = model};
    if (ticket->jobs_len > QR__KEY_JOBS)
        return key;
    key.len = ticket->jobs_len;
    for (size_t i = 0; i < key.len; i++)
        key.hash[i] = hash_of(seed, &ticket->jobs[i], model);
    return key;
}

static bool same_types(const uint8_t *a, const uint8_t *b, size_t tokens) {
    for (size_t i = 0; a != b && i < tokens; i++)
        if ((a == NULL ? 0 : a[i]) != (b == NULL ? 0 : b[i]))
            return false;
    return true;
}

bool qr__same_sequence(const qr_job *a, const qr_job *b) {
    return a->tokens == b->tokens && a->skip == b->skip &&
           memcmp(a->ids, b->ids, a->tokens * sizeof *a->ids) == 0 &&
           same_types(a->types, b->types, a->tokens);
}

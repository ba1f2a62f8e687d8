/* base/quota.c: one counter that never passes its limit. It orders nothing: who may touch memory is
 * not decided here. */
#include "base/quota.h"

#include <stdint.h>

void qr_quota_init(qr_quota *quota, size_t max_bytes) {
    quota->parent = NULL;
    atomic_init(&quota->held_bytes, 0);
    atomic_init(&quota->refused_bytes, 0);
    atomic_init(&quota->max_bytes, max_bytes);
}

void qr_quota_init_part(qr_quota *part, qr_quota *parent) {
    qr_quota_init(part, SIZE_MAX);
    part->parent = parent;
}

void qr_quota_limit(qr_quota *quota, size_t max_bytes) {
    atomic_store_explicit(&quota->max_bytes, max_bytes, memory_order_relaxed);
}

static bool take(qr_quota *quota, size_t bytes, size_t whole) {
    size_t most = qr_quota_max(quota), held = qr_quota_held(quota);
    if (whole > QR_QUOTA_SMALL_BYTES)
        most /= 2;
    do {
        if (held > most || bytes > most - held)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&quota->held_bytes, &held, held + bytes,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

bool qr_quota_take(qr_quota *quota, size_t bytes, size_t whole) {
    if (quota == NULL)
        return true;
    if (qr_quota_take(quota->parent, bytes, whole)) {
        if (take(quota, bytes, whole))
            return true;
        qr_quota_give(quota->parent, bytes);
    }
    atomic_store_explicit(&quota->refused_bytes, bytes, memory_order_relaxed);
    return false;
}

void qr_quota_force(qr_quota *quota, size_t bytes) {
    for (; quota != NULL; quota = quota->parent)
        atomic_fetch_add_explicit(&quota->held_bytes, bytes, memory_order_relaxed);
}

void qr_quota_give(qr_quota *quota, size_t bytes) {
    for (; quota != NULL; quota = quota->parent)
        atomic_fetch_sub_explicit(&quota->held_bytes, bytes, memory_order_relaxed);
}

size_t qr_quota_held(const qr_quota *quota) {
    return quota == NULL ? 0 : atomic_load_explicit(&quota->held_bytes, memory_order_relaxed);
}

size_t qr_quota_max(const qr_quota *quota) {
    return quota == NULL ? SIZE_MAX : atomic_load_explicit(&quota->max_bytes, memory_order_relaxed);
}

size_t qr_quota_wanted(const qr_quota *quota) {
    return qr_quota_held(quota) + atomic_load_explicit(&quota->refused_bytes, memory_order_relaxed);
}

bool qr_quota_is_short(const qr_quota *quota, size_t own_bytes) {
    return quota != NULL && qr_quota_held(quota) - own_bytes > qr_quota_max(quota) / 4;
}

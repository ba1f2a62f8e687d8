/* server/cache.c: a table of entries by hash, and a ring for the clock's hand. */
#include "server/cache.h"

#include <pthread.h>
#include <stdlib.h>

#define BYTES_AN_ENTRY  2048u /* about, of short texts: how many buckets there are */
#define ENTRY_SHARE     8u    /* an entry larger than this part of the cache is not kept */
#define MALLOC_OVERHEAD 16u

/* A sequence and its result; what `job` points to stands behind it. */
typedef struct entry {
    struct entry *next; /* in its bucket */
    qr_link link;       /* in the ring, the hand's next one first */
    uint64_t hash, model;
    qr_job job; /* ids, types, tokens and result */
    size_t floats, bytes;
    bool asked; /* again, since the hand was here */
} entry;

struct qr__cache {
    pthread_mutex_t lock;
    size_t bytes_max, buckets_len; /* a power of two */
    entry **buckets;
    qr_link ring;
    qr_cache_counts counts;
};

qr_status qr__cache_create(size_t bytes_max, qr__cache **out) {
    qr__cache *cache = calloc(1, sizeof *cache);
    *out = NULL;
    if (cache == NULL)
        return QR_NO_MEMORY;
    cache->buckets_len = 64;
    while (cache->buckets_len < bytes_max / BYTES_AN_ENTRY)
        cache->buckets_len *= 2;
    size_t table = cache->buckets_len * sizeof(entry *);
    cache->buckets = calloc(1, table);
    if (cache->buckets == NULL) {
        free(cache);
        return QR_NO_MEMORY;
    }
    cache->bytes_max = bytes_max;
    cache->counts.bytes = table;
    qr_list_init(&cache->ring);
    pthread_mutex_init(&cache->lock, NULL);
    *out = cache;
    return QR_OK;
}

void qr__cache_limit(qr__cache *cache, size_t bytes_max) {
    pthread_mutex_lock(&cache->lock);
    QR_ASSERT(bytes_max <= cache->bytes_max && qr_list_first(&cache->ring) == NULL);
    cache->bytes_max = bytes_max;
    pthread_mutex_unlock(&cache->lock);
}

void qr__cache_destroy(qr__cache *cache) {
    if (cache == NULL)
        return;
    for (qr_link *l; (l = qr_list_first(&cache->ring)) != NULL;) {
        qr_list_remove(l);
        free(QR_OWNER(l, entry, link));
    }
    pthread_mutex_destroy(&cache->lock);
    free(cache->buckets);
    free(cache);
}

static entry **bucket_of(const qr__cache *cache, uint64_t hash) {
    return &cache->buckets[hash & (cache->buckets_len - 1)];
}

static entry *find(const qr__cache *cache, const qr_job *job, uint64_t model, uint64_t hash) {
    for (entry *e = *bucket_of(cache, hash); e != NULL; e = e->next)
        if (e->hash == hash && e->model == model && qr__same_sequence(&e->job, job))
            return e;
    return NULL;
}

bool qr__cache_find(qr__cache *cache, qr_ticket *ticket, const qr__key *key) {
    entry *entries[QR__KEY_JOBS];
    size_t len = key->len, found = 0;
    pthread_mutex_lock(&cache->lock);
    while (found < len && (entries[found] = find(cache, &ticket->jobs[found], key->model,
                                                 key->hash[found])) != NULL)
        found++;
    for (size_t i = 0; found == len && i < len; i++) {
        qr_job *job = &ticket->jobs[i];
        entries[i]->asked = true;
        memcpy(job->room, entries[i]->job.result, entries[i]->floats * sizeof *job->room);
        job->result = job->room;
    }
    *(found == len ? &cache->counts.hits : &cache->counts.misses) += len;
    pthread_mutex_unlock(&cache->lock);
    return len > 0 && found == len;
}

static entry *entry_create(const qr_job *job, uint64_t model, uint64_t hash, size_t floats) {
    size_t result = floats * sizeof(float), ids = job->tokens * sizeof *job->ids;
    size_t types = job->types == NULL ? 0 : job->tokens;
    size_t bytes = sizeof(entry) + result + ids + types;
    entry *e = malloc(bytes);
    if (e == NULL)
        return NULL;
    char *at = (char *)(e + 1);
    memcpy(at, job->result, result);
    memcpy(at + result, job->ids, ids);
    if (types > 0)
        memcpy(at + result + ids, job->types, types);
    *e = (entry){.hash = hash,
                 .model = model,
                 .floats = floats,
                 .bytes = bytes + MALLOC_OVERHEAD,
                 .job = {.tokens = job->tokens,
                         .skip = job->skip,
                         .result = (const float *)(const void *)at,
                         .ids = (const int32_t *)(const void *)(at + result),
                         .types = types == 0 ? NULL : (const uint8_t *)(at + result + ids)}};
    return e;
}

static void unlink_entry(qr__cache *cache, entry *gone) {
    entry **at = bucket_of(cache, gone->hash);
    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
    qr_list_remove(&gone->link);
    cache->counts.bytes -= gone->bytes;
}

/* The hand goes on until there is room. Whoever was asked for again gets another round. */
static void make_room(qr__cache *cache, size_t bytes) {
    for (qr_link *l; cache->counts.bytes + bytes > cache->bytes_max &&
                     (l = qr_list_first(&cache->ring)) != NULL;) {
        entry *e = QR_OWNER(l, entry, link);
        if (e->asked) {
            e->asked = false;
            qr_list_remove(l);
            qr_list_append(&cache->ring, l);
        } else {
            unlink_entry(cache, e);
            free(e);
            cache->counts.evictions++;
        }
    }
}

/* Two that computed the same at once come one after the other: the first one's entry stays. */
static void keep(qr__cache *cache, const qr_job *job, uint64_t model, uint64_t hash,
                 size_t floats) {
    entry *e = entry_create(job, model, hash, floats);
    if (e == NULL)
        return;
    pthread_mutex_lock(&cache->lock);
    bool kept = e->bytes <= cache->bytes_max / ENTRY_SHARE && find(cache, job, model, hash) == NULL;
    if (kept)
        make_room(cache, e->bytes);
    kept = kept && cache->counts.bytes + e->bytes <= cache->bytes_max;
    if (kept) {
        entry **bucket = bucket_of(cache, hash);
        e->next = *bucket;
        *bucket = e;
        qr_list_append(&cache->ring, &e->link);
        cache->counts.bytes += e->bytes;
    }
    pthread_mutex_unlock(&cache->lock);
    if (!kept)
        free(e);
}

void qr__cache_add(qr__cache *cache, const qr_ticket *ticket, const qr__key *key,
                   const size_t *floats) {
    QR_CHAOS_DELAY();
    for (size_t i = 0; i < key->len; i++)
        keep(cache, &ticket->jobs[i], key->model, key->hash[i], floats[i]);
}

void qr__cache_counts(qr__cache *cache, qr_cache_counts *out) {
    pthread_mutex_lock(&cache->lock);
    *out = cache->counts;
    pthread_mutex_unlock(&cache->lock);
}

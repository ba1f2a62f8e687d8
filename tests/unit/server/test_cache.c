/* The result cache alone: what is the same question, what is kept, and what makes room. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>

#include "server/cache.h"

#define FLOATS 100
#define SEED   7

/* A ticket of one job: ids `first`, `first` + 1, ...; once it is run its result is all `value`. */
typedef struct question {
    qr_ticket ticket;
    qr_job job;
    int32_t ids[16];
    uint8_t types[16];
    float room[FLOATS];
} question;

static qr__cache *cache;

static question *make(question *q, int32_t first, size_t tokens) {
    *q = (question){0};
    for (int32_t i = 0; i < 16; i++)
        q->ids[i] = first + i;
    q->job = (qr_job){.ids = q->ids, .tokens = tokens, .room = q->room};
    q->ticket = (qr_ticket){.jobs = &q->job, .jobs_len = 1};
    return q;
}

static void run_and_add(question *q, uint64_t model, float value) {
    const size_t floats = FLOATS;
    for (int i = 0; i < FLOATS; i++)
        q->room[i] = value;
    q->job.result = q->room;
    const qr__key key = qr__key_of(SEED, &q->ticket, model);
    qr__cache_add(cache, &q->ticket, &key, &floats);
}

static bool found(qr_ticket *ticket, uint64_t model) {
    const qr__key key = qr__key_of(SEED, ticket, model);
    return qr__cache_find(cache, ticket, &key);
}

/* The value found; -1: none. */
static float look_up(int32_t first, size_t tokens, uint64_t model) {
    question q;
    make(&q, first, tokens);
    if (!found(&q.ticket, model)) {
        cr_expect_null(q.job.result);
        return -1;
    }
    cr_assert_eq(q.job.result, q.room);
    for (int i = 0; i < FLOATS; i++)
        cr_assert_eq(q.room[i], q.room[0]);
    return q.room[0];
}

static void open_cache(size_t bytes) {
    cr_assert_eq(qr__cache_create(bytes, &cache), QR_OK);
}

Test(cache, finds_the_very_same_question_only) {
    question q;
    open_cache(1u << 20);
    run_and_add(make(&q, 10, 5), 7, 1.5f);
    cr_expect_eq(look_up(10, 5, 7), 1.5f);
    cr_expect_eq(look_up(10, 5, 7), 1.5f);
    cr_expect_eq(look_up(10, 5, 8), -1, "another model, or generation");
    cr_expect_eq(look_up(10, 4, 7), -1, "a beginning of it");
    cr_expect_eq(look_up(10, 6, 7), -1);
    cr_expect_eq(look_up(11, 5, 7), -1);
    qr__cache_destroy(cache);
}

/* "a [SEP] b" as one text and as a pair have equal ids. */
Test(cache, segments_count) {
    question q, pair;
    open_cache(1u << 20);
    run_and_add(make(&q, 10, 5), 7, 1);
    make(&pair, 10, 5);
    pair.types[4] = 1;
    pair.job.types = pair.types;
    cr_expect_not(found(&pair.ticket, 7));
    run_and_add(&pair, 7, 2);
    cr_expect(found(&pair.ticket, 7));
    cr_expect_eq(pair.room[0], 2);
    cr_expect_eq(look_up(10, 5, 7), 1);
    pair.types[4] = 0; /* all 0 is what no segments mean */
    cr_expect(found(&pair.ticket, 7));
    cr_expect_eq(pair.room[0], 1);
    qr__cache_destroy(cache);
}

/* Whoever finds two texts of one hash must not get the other's answer. */
/* Equal ids of which pooling looks at others are another vector. */
Test(cache, what_is_left_out_counts) {
    question kept, asked;
    open_cache(1u << 20);
    make(&kept, 10, 5);
    kept.job.skip = 2;
    run_and_add(&kept, 7, 1.5f);
    for (size_t skip = 0; skip < 4; skip++) {
        make(&asked, 10, 5);
        asked.job.skip = skip;
        cr_expect_eq(found(&asked.ticket, 7), skip == 2, "%zu", skip);
        cr_expect_eq(qr__same_sequence(&asked.job, &kept.job), skip == 2, "%zu", skip);
    }
    qr__cache_destroy(cache);
}

Test(cache, equal_hashes_are_not_equal_questions) {
    question kept, other;
    const size_t floats = FLOATS;
    open_cache(1u << 20);
    make(&kept, 10, 5), make(&other, 11, 5);
    kept.job.result = kept.room;
    const qr__key key = {.model = 1, .len = 1, .hash = {99}}, of_two = {.model = 2, .len = 1, {99}};
    qr__cache_add(cache, &kept.ticket, &key, &floats);
    cr_expect(qr__cache_find(cache, &kept.ticket, &key));
    cr_expect_not(qr__cache_find(cache, &other.ticket, &key));
    cr_expect_not(qr__cache_find(cache, &kept.ticket, &of_two), "another model's");
    qr__cache_destroy(cache);
}

/* Two that computed the same at once. */
Test(cache, keeps_a_question_once) {
    question q;
    qr_cache_counts once, twice;
    open_cache(1u << 20);
    run_and_add(make(&q, 10, 5), 1, 1);
    qr__cache_counts(cache, &once);
    run_and_add(make(&q, 10, 5), 1, 1);
    qr__cache_counts(cache, &twice);
    cr_expect_eq(twice.bytes, once.bytes);
    qr__cache_destroy(cache);
}

/* All jobs of a ticket or none. */
Test(cache, whole_tickets) {
    question a, b;
    qr_cache_counts counts;
    open_cache(1u << 20);
    run_and_add(make(&a, 10, 5), 1, 1);
    make(&a, 10, 5), make(&b, 20, 5);
    qr_job jobs[2] = {a.job, b.job};
    qr_ticket both = {.jobs = jobs, .jobs_len = 2};
    cr_expect_not(found(&both, 1));
    cr_expect(jobs[0].result == NULL && jobs[1].result == NULL);
    run_and_add(&b, 1, 2);
    cr_expect(found(&both, 1));
    cr_expect(jobs[0].result[0] == 1 && jobs[1].result[0] == 2);
    qr__cache_counts(cache, &counts);
    cr_expect_eq(counts.hits, 2);
    cr_expect_eq(counts.misses, 2);
    qr__cache_destroy(cache);
}

/* However much is added, the bytes hold; what is asked for again outlives what is not. */
Test(cache, bounded_and_keeps_what_is_asked_for) {
    question q;
    qr_cache_counts counts;
    size_t bytes = 64u << 10;
    open_cache(bytes);
    run_and_add(make(&q, 0, 5), 1, 7);
    for (int32_t i = 1; i <= 5000; i++) {
        run_and_add(make(&q, 100 * i, 5), 1, (float)i);
        qr__cache_counts(cache, &counts);
        cr_assert_leq(counts.bytes, bytes);
        if (i % 20 == 0)
            cr_assert_eq(look_up(0, 5, 1), 7, "after %d", i);
    }
    cr_expect_gt(counts.evictions, 4800);
    cr_expect_gt(counts.bytes, bytes / 2);
    cr_expect_eq(look_up(500000, 5, 1), 5000);
    cr_expect_eq(look_up(100, 5, 1), -1);
    qr__cache_destroy(cache);
}

Test(cache, may_be_given_less_before_it_is_used) {
    question q;
    qr_cache_counts counts;
    open_cache(1u << 20);
    qr__cache_limit(cache, 20000);
    for (int32_t i = 0; i < 100; i++)
        run_and_add(make(&q, 1000 * i, 8), 1, (float)i);
    qr__cache_counts(cache, &counts);
    cr_expect_leq(counts.bytes, 20000);
    cr_expect_eq(look_up(99000, 8, 1), 99);
    qr__cache_destroy(cache);
    open_cache(1u << 20);
    qr__cache_limit(cache, 0);
    run_and_add(make(&q, 10, 5), 7, 1.5f);
    cr_expect_eq(look_up(10, 5, 7), -1);
    qr__cache_destroy(cache);
}

Test(cache, what_is_too_large_is_not_kept) {
    question q;
    qr_cache_counts before, counts;
    open_cache(2000);
    qr__cache_counts(cache, &before);
    run_and_add(make(&q, 10, 5), 1, 1);
    qr__cache_counts(cache, &counts);
    cr_expect_eq(counts.bytes, before.bytes);
    cr_expect_eq(look_up(10, 5, 1), -1);
    qr_ticket many = {.jobs = NULL, .jobs_len = QR__KEY_JOBS + 1};
    cr_expect_not(found(&many, 1), "it has no key");
    qr__cache_destroy(cache);
    qr__cache_destroy(NULL);
}

static void *ask_on(void *argument) {
    uint64_t dice = (uint64_t)(size_t)argument;
    for (int i = 0; i < 5000; i++) {
        question q;
        dice = dice * 6364136223846793005u + 1442695040888963407u;
        int32_t first = (int32_t)(dice >> 33) % 100;
        float found = look_up(first * 100, 5, 1);
        cr_assert(found == -1 || found == (float)first);
        if (found == -1)
            run_and_add(make(&q, first * 100, 5), 1, (float)first);
    }
    return NULL;
}

/* For ThreadSanitizer; the cache is too small for all hundred. */
Test(cache, threads, .timeout = 120) {
    pthread_t threads[3];
    open_cache(32u << 10);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, ask_on, (void *)(i + 1)), 0);
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    qr__cache_destroy(cache);
}

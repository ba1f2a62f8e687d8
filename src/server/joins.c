/* server/joins.c: a table of leaders by hash. There are at most as many as requests under way, so
 * its size is fixed. */
#include "server/joins.h"

#include <stdlib.h>

#define BUCKETS 1024u

struct qr__joins {
    qr_link buckets[BUCKETS];
};

qr_status qr__joins_create(qr__joins **out) {
    *out = malloc(sizeof **out);
    if (*out == NULL)
        return QR_NO_MEMORY;
    for (size_t i = 0; i < BUCKETS; i++)
        qr_list_init(&(*out)->buckets[i]);
    return QR_OK;
}

void qr__joins_destroy(qr__joins *joins) {
    free(joins);
}

static size_t bucket_of(const qr__key *key) {
    return key->hash[0] % BUCKETS;
}

void qr__joins_lead(qr__joins *joins, qr__joint *joint, const qr_ticket *ticket,
                    const qr__key *key) {
    QR_ASSERT(key->len > 0 && !qr_link_listed(&joint->link));
    *joint = (qr__joint){.ticket = ticket, .key = key};
    qr_list_init(&joint->mates);
    qr_list_append(&joins->buckets[bucket_of(key)], &joint->link);
}

static bool asks_the_same(const qr__joint *leader, const qr_ticket *ticket, const qr__key *key) {
    if (leader->key->model != key->model || leader->key->len != key->len)
        return false;
    for (size_t i = 0; i < key->len; i++)
        if (leader->key->hash[i] != key->hash[i] ||
            !qr__same_sequence(&leader->ticket->jobs[i], &ticket->jobs[i]))
            return false;
    return true;
}

qr__joint *qr__joins_find(const qr__joins *joins, const qr_ticket *ticket, const qr__key *key) {
    const qr_link *bucket = &joins->buckets[bucket_of(key)];
    for (qr_link *l = bucket->next; l != bucket; l = l->next) {
        qr__joint *leader = QR_OWNER(l, qr__joint, link);
        if (leader->mates_len < QR__MATES_MOST && asks_the_same(leader, ticket, key))
            return leader;
    }
    return NULL;
}

void qr__joins_join(qr__joint *leader, qr__joint *joint) {
    QR_ASSERT(!qr_link_listed(&joint->link) && leader->leader == NULL);
    *joint = (qr__joint){.leader = leader};
    qr_list_append(&leader->mates, &joint->link);
    leader->mates_len++;
}

qr__joint *qr__joins_first(const qr__joint *leader) {
    qr_link *first = leader->mates_len == 0 ? NULL : qr_list_first(&leader->mates);
    return first == NULL ? NULL : QR_OWNER(first, qr__joint, link);
}

void qr__joins_leave(qr__joint *joint) {
    QR_ASSERT(joint->mates_len == 0);
    qr_list_remove(&joint->link);
    if (joint->leader != NULL)
        joint->leader->mates_len--;
    *joint = (qr__joint){0};
}

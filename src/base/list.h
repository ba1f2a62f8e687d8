/* base/list.h: lists whose links live in their owners: nothing is allocated, and whatever is in a
 * list leaves it in one step.
 *
 *     typedef struct ticket {
 *         qr_link link;
 *         ...
 *     } ticket;
 *
 *     qr_link waiting;
 *     qr_list_init(&waiting);
 *     qr_list_append(&waiting, &ticket->link);
 *     for (qr_link *l = waiting.next; l != &waiting; l = l->next)
 *         look_at(QR_OWNER(l, ticket, link));
 *     qr_list_remove(&ticket->link);
 *
 * The list is a ring that its own head is part of. A zeroed link is in no list. Threads: the
 * callers' business.
 */
#ifndef QR_BASE_LIST_H
#define QR_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct qr_link {
    struct qr_link *previous, *next; /* NULL: in no list */
} qr_link;

/** The object whose member `member` the link is. */
#define QR_OWNER(link, type, member) ((type *)(void *)((char *)(link) - offsetof(type, member)))

/** Makes `list` the head of an empty list. */
static inline void qr_list_init(qr_link *list) {
    list->previous = list->next = list;
}

/** The oldest link, or NULL when there is none. */
static inline qr_link *qr_list_first(const qr_link *list) {
    return list->next == list ? NULL : list->next;
}

/** Whether the link is in a list. */
static inline bool qr_link_listed(const qr_link *link) {
    return link->next != NULL;
}

/** Puts a link that is in no list at the end. */
static inline void qr_list_append(qr_link *list, qr_link *link) {
    link->previous = list->previous;
    link->next = list;
    list->previous->next = link;
    list->previous = link;
}

/** Takes the link out of the list that it is in; in none, nothing happens. */
static inline void qr_list_remove(qr_link *link) {
    if (link->next == NULL)
        return;
    link->previous->next = link->next;
    link->next->previous = link->previous;
    link->previous = link->next = NULL;
}

#endif

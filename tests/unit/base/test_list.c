/* Linked lists: order, and leaving from any place. */
#include <criterion/criterion.h>

#include "base/list.h"

typedef struct item {
    int number;
    qr_link link;
} item;

/* The numbers in the list, first to last, as decimal digits of one number. */
static int digits(const qr_link *list) {
    int all = 0;
    for (const qr_link *l = list->next; l != list; l = l->next)
        all = all * 10 + QR_OWNER(l, item, link)->number;
    return all;
}

Test(list, keeps_order_and_lets_go_of_any) {
    item items[5] = {{.number = 1}, {.number = 2}, {.number = 3}, {.number = 4}, {.number = 5}};
    qr_link list;
    qr_list_init(&list);
    cr_expect_null(qr_list_first(&list));
    for (int i = 0; i < 5; i++) {
        cr_expect_not(qr_link_listed(&items[i].link));
        qr_list_append(&list, &items[i].link);
        cr_expect(qr_link_listed(&items[i].link));
    }
    cr_expect_eq(digits(&list), 12345);
    cr_expect_eq(QR_OWNER(qr_list_first(&list), item, link), &items[0]);
    qr_list_remove(&items[2].link);
    qr_list_remove(&items[0].link);
    qr_list_remove(&items[4].link);
    cr_expect_eq(digits(&list), 24);
    qr_list_remove(&items[4].link); /* in no list any more: nothing happens */
    qr_list_append(&list, &items[0].link);
    cr_expect_eq(digits(&list), 241);
    qr_list_remove(&items[1].link);
    qr_list_remove(&items[3].link);
    qr_list_remove(&items[0].link);
    cr_expect_null(qr_list_first(&list));
}

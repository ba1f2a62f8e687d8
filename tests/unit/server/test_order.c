/* The order of what waits, against a list that is sorted and added up anew for each question. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "server/schedule/order.h"

#define TURNS 64
#define STEPS 100000

static qr_order order;
static qr_turn turns[TURNS];
static const qr_turn *listed[TURNS]; /* in order */
static size_t listed_len;
static uint64_t dice = 1;

static uint64_t draw(uint64_t below) {
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (dice >> 33) % below;
}

static uint64_t minus(uint64_t a, uint64_t b) {
    return a > b ? a - b : 0;
}

/* Of equal keys who came last goes last. */
static void list_add(const qr_turn *turn) {
    size_t at = listed_len++;
    for (; at > 0 && listed[at - 1]->key > turn->key; at--)
        listed[at] = listed[at - 1];
    listed[at] = turn;
}

static void list_remove(const qr_turn *turn) {
    size_t at = 0;
    while (listed[at] != turn)
        at++;
    for (listed_len--; at < listed_len; at++)
        listed[at] = listed[at + 1];
}

/* The first in the list from there on that has one of the marks. */
static const qr_turn *find(size_t at, uint64_t marks) {
    while (at < listed_len && (listed[at]->marks & marks) == 0)
        at++;
    return at < listed_len ? listed[at] : NULL;
}

static void check_turn(size_t at) {
    uint64_t before = 0, latest = UINT64_MAX, end;
    for (size_t i = 0; i < at; i++)
        before += listed[i]->cost_ns;
    end = before + listed[at]->cost_ns;
    for (size_t i = at + 1; i < listed_len; i++) {
        end += listed[i]->cost_ns;
        latest = minus(listed[i]->deadline_ns, end) < latest ? minus(listed[i]->deadline_ns, end)
                                                             : latest;
    }
    cr_assert_eq(qr_order_before(listed[at]), before);
    cr_assert_eq(qr_order_latest_behind(listed[at]), latest);
    uint64_t marks = draw(9);
    cr_assert_eq(qr_order_next(listed[at], marks), find(at + 1, marks));
    cr_assert_eq(qr_order_next(listed[at], QR_ORDER_ANY), find(at + 1, QR_ORDER_ANY));
}

static void check_all(uint64_t keys) {
    uint64_t sum = 0, key = draw(keys), before_key = 0;
    for (size_t i = 0; i < listed_len; i++) {
        sum += listed[i]->cost_ns;
        before_key += listed[i]->key <= key ? listed[i]->cost_ns : 0;
    }
    cr_assert_eq(qr_order_sum(&order), sum);
    cr_assert_eq(qr_order_before_key(&order, key), before_key);
    uint64_t marks = draw(9);
    cr_assert_eq(qr_order_first(&order, marks), find(0, marks));
    cr_assert_eq(qr_order_first(&order, QR_ORDER_ANY), find(0, QR_ORDER_ANY));
    if (listed_len > 0)
        check_turn(draw(listed_len));
}

static void step(uint64_t keys) {
    qr_turn *turn = &turns[draw(TURNS)];
    switch (draw(4)) {
    case 0:
        if (turn->listed)
            list_remove(turn);
        qr_order_remove(&order, turn);
        break;
    case 1:
        if (turn->listed)
            qr_order_change(turn, draw(100));
        break;
    default:
        if (turn->listed)
            break;
        turn->key = draw(keys);
        turn->deadline_ns = draw(8) == 0 ? UINT64_MAX : draw(3000);
        turn->cost_ns = draw(100);
        turn->marks = 1 + draw(7);
        qr_order_add(&order, turn);
        list_add(turn);
    }
    check_all(keys);
}

/* Few keys: many are equal. Many: few are. */
Test(order, a_hundred_thousand_steps_as_a_sorted_list) {
    for (int i = 0; i < STEPS; i++)
        step(i < STEPS / 2 ? 10 : 100000);
}

static size_t depth_of(const qr_turn *turn) {
    if (turn == NULL)
        return 0;
    size_t left = depth_of(turn->child[0]), right = depth_of(turn->child[1]);
    return 1 + (left > right ? left : right);
}

/* What comes in order of its deadline, as most does, must not become a list: a random tree of
 * 100,000 has about 40 levels. */
Test(order, stays_shallow) {
    qr_order rising = {0};
    size_t len = 100000;
    qr_turn *many = calloc(len, sizeof *many);
    for (size_t i = 0; i < len; i++) {
        many[i] = (qr_turn){.key = i, .deadline_ns = UINT64_MAX, .cost_ns = 1, .marks = 1};
        qr_order_add(&rising, &many[i]);
    }
    cr_expect_lt(depth_of(rising.root), 80);
    cr_expect_eq(qr_order_before(&many[len - 1]), len - 1);
    for (size_t i = 0; i < len; i++) {
        cr_assert_eq(qr_order_first(&rising, 1), &many[i]);
        qr_order_remove(&rising, &many[i]);
    }
    cr_expect_null(rising.root);
    free(many);
}

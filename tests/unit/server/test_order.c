/* The order of what waits, against a list that is sorted and added up anew for each question. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "server/schedule/order.h"

#define TURNS 64
#define STEPS 100000
#define CROWD 10000

static qr_order order;
static qr_turn turns[CROWD];
static const qr_turn *listed[CROWD]; /* in order */
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

static void leave(qr_turn *turn) {
    if (turn->listed)
        list_remove(turn);
    qr_order_remove(&order, turn);
}

static void enter(qr_turn *turn, uint64_t keys, uint64_t soonest_ns) {
    if (turn->listed)
        return;
    turn->key = draw(keys);
    turn->deadline_ns = draw(8) == 0 ? UINT64_MAX : soonest_ns + draw(3000);
    turn->cost_ns = draw(100);
    turn->marks = 1 + draw(7);
    qr_order_add(&order, turn);
    list_add(turn);
}

static void step(uint64_t keys) {
    qr_turn *turn = &turns[draw(TURNS)];
    switch (draw(4)) {
    case 0:
        leave(turn);
        break;
    case 1:
        if (turn->listed)
            qr_order_change(turn, draw(100));
        break;
    default:
        enter(turn, keys, 0);
    }
    check_all(keys);
}

/* Few keys: many are equal. Many: few are. */
Test(order, a_hundred_thousand_steps_as_a_sorted_list) {
    cr_assert_eq(qr_order_init(&order, TURNS), QR_OK);
    for (int i = 0; i < STEPS; i++)
        step(i < STEPS / 2 ? 10 : 100000);
    qr_order_deinit(&order);
}

/* Who leaves a crowd next. */
typedef const qr_turn *leaver(void);

static const qr_turn *first_of_all(void) {
    return listed[0];
}

static const qr_turn *last_of_all(void) {
    return listed[listed_len - 1];
}

static const qr_turn *anybody(void) {
    return listed[draw(listed_len)];
}

/* Whole stretches go, and what is between them stays. */
static const qr_turn *next_of_a_stretch(void) {
    static size_t at;
    if (listed_len % 100 == 0)
        at = draw(listed_len);
    return listed[at % listed_len];
}

static void let_leave(leaver *next, size_t until, uint64_t keys) {
    while (listed_len > until) {
        leave(&turns[next() - turns]);
        if (listed_len % 50 == 0)
            check_all(keys);
    }
}

/* None of them would be late. */
static void let_enter(uint64_t keys) {
    for (size_t i = 0; i < CROWD; i++) {
        enter(&turns[i], keys, 100 * CROWD);
        if (i % 50 == 0)
            check_all(keys);
    }
}

/* A tree of several levels grows, shrinks to a tenth, grows again and goes. */
Test(order, crowds_come_and_go_in_any_manner, .timeout = 300) {
    leaver *const manners[] = {first_of_all, last_of_all, anybody, next_of_a_stretch};
    for (size_t i = 0; i < sizeof manners / sizeof *manners; i++) {
        uint64_t keys = i % 2 == 0 ? 1000000 : 100;
        cr_assert_eq(qr_order_init(&order, CROWD), QR_OK);
        let_enter(keys);
        let_leave(manners[i], CROWD / 10, keys);
        let_enter(keys);
        cr_expect_eq(order.len, CROWD);
        let_leave(manners[i], 0, keys);
        cr_expect_null(order.root);
        qr_order_deinit(&order);
    }
}

static void add_rising(qr_order *to, qr_turn *turn, uint64_t key) {
    *turn = (qr_turn){.key = key, .deadline_ns = UINT64_MAX, .cost_ns = 1, .marks = 1};
    qr_order_add(to, turn);
}

/* What comes in order of its deadline, as most does, fills half of each node at least. */
Test(order, stays_small) {
    qr_order rising;
    size_t len = 100000;
    qr_turn *many = calloc(len, sizeof *many);
    cr_assert_eq(qr_order_init(&rising, len), QR_OK);
    for (size_t i = 0; i < len; i++)
        add_rising(&rising, &many[i], i);
    cr_expect_lt(rising.used, len / 14);
    cr_expect_eq(qr_order_before(&many[len - 1]), len - 1);
    for (size_t i = 0; i < len; i++) {
        cr_assert_eq(qr_order_first(&rising, 1), &many[i]);
        qr_order_remove(&rising, &many[i]);
    }
    cr_expect_null(rising.root);
    qr_order_deinit(&rising);
    free(many);
}

/* Turns come in order, so that leaves are split into halves of 16, and leave, by their place in two
 * such leaves, when others have come behind them. What the init allocated for those that stay is
 * enough. */
static void check_nodes(bool (*leaves_soon)(size_t place), bool (*leaves_later)(size_t place),
                        size_t most, size_t nodes) {
    enum { LAG = 64, ALL = 90000 };
    qr_order thin;
    qr_turn *many = calloc(ALL, sizeof *many);
    cr_assert_eq(qr_order_init(&thin, most), QR_OK);
    for (size_t i = 0; i < ALL; i++) {
        add_rising(&thin, &many[i], i);
        if (i >= LAG && leaves_soon(i % 32))
            qr_order_remove(&thin, &many[i - LAG]);
        if (i >= 2 * LAG && leaves_later(i % 32))
            qr_order_remove(&thin, &many[i - 2 * LAG]);
        cr_assert_leq(thin.len, most);
        cr_assert_leq(thin.used, thin.nodes_len);
    }
    cr_expect_gt(thin.used, nodes, "these turns do no harm");
    for (size_t i = 0; i < ALL; i++)
        qr_order_remove(&thin, &many[i]);
    cr_expect_null(thin.root);
    qr_order_deinit(&thin);
    free(many);
}

static bool is_in_first_but_one(size_t place) {
    return place > 0 && place < 16;
}

static bool is_in_second_but_nine(size_t place) {
    return place > 24;
}

static bool is_not_the_first(size_t place) {
    return place % 16 != 0;
}

/* One stays of every second leaf, and then nine of those between: no two can be merged. */
Test(order, has_nodes_for_leaves_that_cannot_be_merged) {
    check_nodes(is_in_first_but_one, is_in_second_but_nine, 28300, 5800);
}

/* One stays of each. */
Test(order, merges_leaves_that_are_left_with_little) {
    check_nodes(is_not_the_first, is_not_the_first, 5800, 300);
}

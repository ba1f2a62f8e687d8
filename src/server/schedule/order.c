/* server/schedule/order.c: the treap. Rotations keep the order; what a node knows of its subtree is
 * put together from its children's by pull(). */
#include "server/schedule/order.h"

/* SplitMix64 (Steele, Lea and Flood 2014): the priorities of a treap, from the number of the
 * arrival, so that a run can be repeated. */
static uint64_t mix(uint64_t x) {
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

static uint64_t minus(uint64_t a, uint64_t b) {
    return a > b ? a - b : 0;
}

static uint64_t sum_of(const qr_turn *turn) {
    return turn == NULL ? 0 : turn->sum_ns;
}

/* When `ns` have to be served before the subtree. */
static uint64_t latest_of(const qr_turn *turn, uint64_t ns) {
    return turn == NULL ? UINT64_MAX : minus(turn->latest_ns, ns);
}

static uint64_t marks_of(const qr_turn *turn) {
    return turn == NULL ? 0 : turn->all_marks;
}

static void pull(qr_turn *turn) {
    uint64_t end = sum_of(turn->child[0]) + turn->cost_ns;
    uint64_t own = minus(turn->deadline_ns, end);
    turn->sum_ns = end + sum_of(turn->child[1]);
    turn->latest_ns =
        qr_min(own, qr_min(latest_of(turn->child[0], 0), latest_of(turn->child[1], end)));
    turn->all_marks = turn->marks | marks_of(turn->child[0]) | marks_of(turn->child[1]);
}

static void pull_up(qr_turn *turn) {
    for (; turn != NULL; turn = turn->parent)
        pull(turn);
}

bool qr_turn_comes_before(const qr_turn *a, const qr_turn *b) {
    return a->key != b->key ? a->key < b->key : a->arrival < b->arrival;
}

static int side_of(const qr_turn *turn) {
    return turn->parent->child[1] == turn;
}

static void hang(qr_order *order, qr_turn *parent, int side, qr_turn *turn) {
    if (parent == NULL)
        order->root = turn;
    else
        parent->child[side] = turn;
    if (turn != NULL)
        turn->parent = parent;
}

/* Lifts a turn above its parent. */
static void rotate_up(qr_order *order, qr_turn *turn) {
    qr_turn *parent = turn->parent, *above = parent->parent;
    int side = side_of(turn), above_side = above == NULL ? 0 : side_of(parent);
    hang(order, parent, side, turn->child[!side]);
    hang(order, turn, !side, parent);
    hang(order, above, above_side, turn);
    pull(parent);
    pull(turn);
}

void qr_order_add(qr_order *order, qr_turn *turn) {
    QR_ASSERT(!turn->listed && turn->marks != 0);
    turn->child[0] = turn->child[1] = NULL;
    turn->arrival = order->arrivals++;
    turn->priority = mix(turn->arrival);
    turn->listed = true;
    qr_turn *parent = NULL;
    int side = 0;
    for (qr_turn *at = order->root; at != NULL; at = at->child[side]) {
        parent = at;
        side = !qr_turn_comes_before(turn, at);
    }
    hang(order, parent, side, turn);
    pull_up(turn);
    while (turn->parent != NULL && turn->priority > turn->parent->priority)
        rotate_up(order, turn);
}

void qr_order_remove(qr_order *order, qr_turn *turn) {
    if (!turn->listed)
        return;
    while (turn->child[0] != NULL && turn->child[1] != NULL)
        rotate_up(order, turn->child[turn->child[1]->priority > turn->child[0]->priority]);
    qr_turn *parent = turn->parent, *child = turn->child[turn->child[0] == NULL];
    hang(order, parent, parent == NULL ? 0 : side_of(turn), child);
    pull_up(parent);
    turn->listed = false;
}

void qr_order_change(qr_turn *turn, uint64_t cost_ns) {
    turn->cost_ns = cost_ns;
    pull_up(turn);
}

/* The first of the subtree that has one of the marks. */
static qr_turn *leftmost(qr_turn *turn, uint64_t marks) {
    if ((marks_of(turn) & marks) == 0)
        return NULL;
    for (;;) {
        if ((marks_of(turn->child[0]) & marks) != 0)
            turn = turn->child[0];
        else if ((turn->marks & marks) != 0)
            return turn;
        else
            turn = turn->child[1];
    }
}

qr_turn *qr_order_first(const qr_order *order, uint64_t marks) {
    return leftmost(order->root, marks);
}

qr_turn *qr_order_next(const qr_turn *turn, uint64_t marks) {
    qr_turn *found = leftmost(turn->child[1], marks);
    for (; found == NULL && turn->parent != NULL; turn = turn->parent)
        if (side_of(turn) == 0)
            found = (turn->parent->marks & marks) != 0 ? turn->parent
                                                       : leftmost(turn->parent->child[1], marks);
    return found;
}

uint64_t qr_order_sum(const qr_order *order) {
    return sum_of(order->root);
}

uint64_t qr_order_before(const qr_turn *turn) {
    uint64_t ns = sum_of(turn->child[0]);
    for (; turn->parent != NULL; turn = turn->parent)
        if (side_of(turn) == 1)
            ns += sum_of(turn->parent->child[0]) + turn->parent->cost_ns;
    return ns;
}

uint64_t qr_order_before_key(const qr_order *order, uint64_t key) {
    uint64_t ns = 0;
    for (const qr_turn *at = order->root; at != NULL;) {
        bool counts = at->key <= key;
        if (counts)
            ns += sum_of(at->child[0]) + at->cost_ns;
        at = at->child[counts];
    }
    return ns;
}

/* Upwards from the turn: whatever hangs to the right of the way is behind it. `end` is the sum of
 * the costs up to the end of the subtree that we have come from. */
uint64_t qr_order_latest_behind(const qr_turn *turn) {
    uint64_t end = qr_order_before(turn) + turn->cost_ns;
    uint64_t latest = latest_of(turn->child[1], end);
    end += sum_of(turn->child[1]);
    for (; turn->parent != NULL; turn = turn->parent) {
        const qr_turn *parent = turn->parent;
        if (side_of(turn) == 1)
            continue;
        end += parent->cost_ns;
        latest = qr_min(latest, minus(parent->deadline_ns, end));
        latest = qr_min(latest, latest_of(parent->child[1], end));
        end += sum_of(parent->child[1]);
    }
    return latest;
}

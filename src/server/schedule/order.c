/* server/schedule/order.c: a B+ tree (Bayer and McCreight 1972; Comer, "The ubiquitous B-tree",
 * 1979) whose nodes know sums.
 *
 * An entry sums up what it points to: in a leaf a turn, above that a node of the level below. Both
 * are summed up alike, so no function but adopt() and the ends of walks ask which it is; and every
 * question is answered by the entries of the nodes on one way between the root and a turn. These
 * stand side by side, while turns stand in their owners, where each is a cache miss: none is
 * looked at but the one that the call is about.
 *
 * A node that is full is split before anything is added below it. One that is down to a quarter is
 * merged with a neighbour if half a node holds both, and an empty one goes. So whatever was just
 * split or merged stays for a while, and of two neighbours below one parent one holds more than a
 * quarter. */
#include "server/schedule/order.h"

#include <stdlib.h>

#define FANOUT 32u
#define AHEAD  2u /* turns: who walks along the order will look at this one soon */

typedef struct entry {
    uint64_t key; /* the least */
    uint64_t sum_ns;
    uint64_t latest_ns; /* begun at this moment, all of it is in time; 0: never */
    uint64_t marks;     /* of all */
    void *what;
} entry;

typedef struct qr_order_node {
    struct qr_order_node *parent; /* the root's: NULL; an unused node's: the next one */
    uint32_t len;                 /* never 0 between calls */
    bool leaf;
    entry entries[FANOUT];
} node;

static uint64_t minus(uint64_t a, uint64_t b) {
    return a > b ? a - b : 0;
}

static entry sum_up_turn(qr_turn *turn) {
    return (entry){.key = turn->key,
                   .sum_ns = turn->cost_ns,
                   .latest_ns = minus(turn->deadline_ns, turn->cost_ns),
                   .marks = turn->marks,
                   .what = turn};
}

static entry sum_up(node *n) {
    entry all = {.key = n->entries[0].key, .latest_ns = UINT64_MAX, .what = n};
    for (uint32_t i = 0; i < n->len; i++) {
        const entry *e = &n->entries[i];
        all.latest_ns = qr_min(all.latest_ns, minus(e->latest_ns, all.sum_ns));
        all.sum_ns += e->sum_ns;
        all.marks |= e->marks;
    }
    return all;
}

static node *child_of(const node *n, uint32_t slot) {
    return n->entries[slot].what;
}

static uint32_t slot_of(const node *n, const void *what) {
    uint32_t slot = 0;
    while (n->entries[slot].what != what)
        slot++;
    return slot;
}

/* How many entries have a key of at most this. */
static uint32_t upto(const node *n, uint64_t key) {
    uint32_t len = 0;
    while (len < n->len && n->entries[len].key <= key)
        len++;
    return len;
}

/* The costs of the first entries. */
static uint64_t sum_of(const node *n, uint32_t len) {
    uint64_t ns = 0;
    for (uint32_t i = 0; i < len; i++)
        ns += n->entries[i].sum_ns;
    return ns;
}

/* Nodes */

/* Of two neighbours one holds 9 entries at least, so c nodes below one parent hold 5c - 4: of
 * n entries on a level below and p parents there are at most (n + 4p) / 5 nodes. By induction from
 * the root down, with p <= nodes / 4 + 1, that is n / 4 + 1, and on all levels together a third of
 * the turns and a few. */
static size_t nodes_for(size_t turns) {
    _Static_assert(FANOUT / 4 == 8, "as reckoned above");
    return turns / 3 + 32;
}

qr_status qr_order_init(qr_order *order, size_t most) {
    *order = (qr_order){.nodes_len = nodes_for(most)};
    order->nodes = calloc(order->nodes_len, sizeof *order->nodes);
    return order->nodes == NULL ? QR_NO_MEMORY : QR_OK;
}

void qr_order_deinit(qr_order *order) {
    free(order->nodes);
    *order = (qr_order){0};
}

static node *create(qr_order *order, bool leaf) {
    node *n = order->unused;
    if (n != NULL) {
        order->unused = n->parent;
    } else {
        QR_ASSERT(order->used < order->nodes_len);
        n = &order->nodes[order->used++];
    }
    n->parent = NULL;
    n->len = 0;
    n->leaf = leaf;
    return n;
}

static void destroy(qr_order *order, node *n) {
    n->parent = order->unused;
    order->unused = n;
}

/* Entries */

static void adopt(node *n, const entry *e) {
    if (n->leaf)
        ((qr_turn *)e->what)->listed = n;
    else
        ((node *)e->what)->parent = n;
}

static void insert(node *n, uint32_t slot, entry e) {
    memmove(&n->entries[slot + 1], &n->entries[slot], (n->len - slot) * sizeof e);
    n->entries[slot] = e;
    n->len++;
    adopt(n, &e);
}

static void erase(node *n, uint32_t slot) {
    n->len--;
    memmove(&n->entries[slot], &n->entries[slot + 1], (n->len - slot) * sizeof(entry));
}

/* What `from` has from this slot on goes behind what `to` has. */
static void move_entries(node *to, node *from, uint32_t slot) {
    for (uint32_t i = slot; i < from->len; i++)
        insert(to, to->len, from->entries[i]);
    from->len = slot;
}

/* Half of a full child goes into a new one behind it. */
static void split(qr_order *order, node *parent, uint32_t slot) {
    node *full = child_of(parent, slot), *behind = create(order, full->leaf);
    move_entries(behind, full, FANOUT / 2);
    parent->entries[slot] = sum_up(full);
    insert(parent, slot + 1, sum_up(behind));
}

/* The child in the slot takes over the one behind it. */
static void merge(qr_order *order, node *parent, uint32_t slot) {
    node *n = child_of(parent, slot), *behind = child_of(parent, slot + 1);
    move_entries(n, behind, 0);
    destroy(order, behind);
    erase(parent, slot + 1);
    parent->entries[slot] = sum_up(n);
}

static bool can_merge(const node *parent, uint32_t slot) {
    return child_of(parent, slot)->len + child_of(parent, slot + 1)->len <= FANOUT / 2;
}

/* After a child has lost an entry. */
static void tidy(qr_order *order, node *parent, uint32_t slot) {
    node *n = child_of(parent, slot);
    bool thin = n->len <= FANOUT / 4;
    if (n->len == 0) {
        destroy(order, n);
        erase(parent, slot);
    } else if (thin && slot + 1 < parent->len && can_merge(parent, slot)) {
        merge(order, parent, slot);
    } else if (thin && slot > 0 && can_merge(parent, slot - 1)) {
        merge(order, parent, slot - 1);
    } else {
        parent->entries[slot] = sum_up(n);
    }
}

/* Changes */

/* A full root gets a parent to be split in. */
static void raise_root(qr_order *order) {
    node *root = create(order, false);
    insert(root, 0, sum_up(order->root));
    order->root = root;
}

/* An empty root goes, and one with a single child gives it its place. */
static void lower_root(qr_order *order) {
    for (node *root; (root = order->root) != NULL && root->len < (root->leaf ? 1 : 2);) {
        order->root = root->leaf ? NULL : child_of(root, 0);
        if (order->root != NULL)
            order->root->parent = NULL;
        destroy(order, root);
    }
}

/* The node is not full. What has the turn's key already stays before it. */
static void add_below(qr_order *order, node *n, qr_turn *turn) {
    uint32_t slot = upto(n, turn->key);
    if (n->leaf) {
        insert(n, slot, sum_up_turn(turn));
        return;
    }
    slot -= slot > 0;
    if (child_of(n, slot)->len == FANOUT) {
        split(order, n, slot);
        slot += n->entries[slot + 1].key <= turn->key;
    }
    node *child = child_of(n, slot);
    add_below(order, child, turn);
    n->entries[slot] = sum_up(child);
}

void qr_order_add(qr_order *order, qr_turn *turn) {
    QR_ASSERT(turn->listed == NULL && turn->marks != 0);
    if (order->root == NULL)
        order->root = create(order, true);
    if (order->root->len == FANOUT)
        raise_root(order);
    add_below(order, order->root, turn);
    order->len++;
}

void qr_order_remove(qr_order *order, qr_turn *turn) {
    if (turn->listed == NULL)
        return;
    erase(turn->listed, slot_of(turn->listed, turn));
    for (node *n = turn->listed, *parent; (parent = n->parent) != NULL; n = parent)
        tidy(order, parent, slot_of(parent, n));
    lower_root(order);
    turn->listed = NULL;
    order->len--;
}

void qr_order_change(qr_turn *turn, uint64_t cost_ns) {
    node *n = turn->listed;
    turn->cost_ns = cost_ns;
    n->entries[slot_of(n, turn)] = sum_up_turn(turn);
    for (node *parent; (parent = n->parent) != NULL; n = parent)
        parent->entries[slot_of(parent, n)] = sum_up(n);
}

/* Questions */

/* The first slot from there on that has one of the marks. */
static uint32_t find(const node *n, uint32_t slot, uint64_t marks) {
    while (slot < n->len && (n->entries[slot].marks & marks) == 0)
        slot++;
    return slot;
}

/* The first turn that has one of the marks, below the slot or one behind it; or NULL. */
static qr_turn *first_from(const node *n, uint32_t slot, uint64_t marks) {
    slot = find(n, slot, marks);
    if (slot == n->len)
        return NULL;
    for (; !n->leaf; slot = find(n, 0, marks))
        n = child_of(n, slot);
    if (slot + AHEAD < n->len)
        __builtin_prefetch(n->entries[slot + AHEAD].what, 1);
    return n->entries[slot].what;
}

qr_turn *qr_order_first(const qr_order *order, uint64_t marks) {
    return order->root == NULL ? NULL : first_from(order->root, 0, marks);
}

qr_turn *qr_order_next(const qr_turn *turn, uint64_t marks) {
    qr_turn *found = NULL;
    const void *at = turn;
    for (const node *n = turn->listed; found == NULL && n != NULL; at = n, n = n->parent)
        found = first_from(n, slot_of(n, at) + 1, marks);
    return found;
}

uint64_t qr_order_sum(const qr_order *order) {
    return order->root == NULL ? 0 : sum_of(order->root, order->root->len);
}

/* The costs of what stands before an entry of the node, whose slot goes to *slot. */
static uint64_t sum_before(const node *n, const void *what, uint32_t *slot) {
    uint64_t ns = 0;
    uint32_t i = 0;
    for (; n->entries[i].what != what; i++)
        ns += n->entries[i].sum_ns;
    *slot = i;
    return ns;
}

uint64_t qr_order_before(const qr_turn *turn) {
    uint64_t ns = 0;
    uint32_t slot;
    const void *at = turn;
    for (const node *n = turn->listed; n != NULL; at = n, n = n->parent)
        ns += sum_before(n, at, &slot);
    return ns;
}

uint64_t qr_order_before_key(const qr_order *order, uint64_t key) {
    uint64_t ns = 0;
    uint32_t len;
    for (const node *n = order->root; n != NULL && (len = upto(n, key)) > 0;
         n = child_of(n, len - 1)) {
        if (n->leaf)
            return ns + sum_of(n, len);
        ns += sum_of(n, len - 1); /* all of the last one or a part */
    }
    return ns;
}

/* Upwards: on each level the answer is what it would be if the order began with that node. */
uint64_t qr_order_latest_behind(const qr_turn *turn) {
    uint64_t latest_ns = UINT64_MAX;
    bool any = false;
    const void *at = turn;
    for (const node *n = turn->listed; n != NULL; at = n, n = n->parent) {
        uint32_t slot;
        uint64_t end_ns = sum_before(n, at, &slot);
        latest_ns = any ? minus(latest_ns, end_ns) : latest_ns;
        any = any || slot + 1 < n->len;
        end_ns += n->entries[slot].sum_ns;
        for (uint32_t i = slot + 1; i < n->len; i++) {
            latest_ns = qr_min(latest_ns, minus(n->entries[i].latest_ns, end_ns));
            end_ns += n->entries[i].sum_ns;
        }
    }
    return latest_ns;
}

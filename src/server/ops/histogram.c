/* server/ops/histogram.c: relaxed atomics; a page shows each bucket as it was at some moment of the
 * rendering, and its count is the sum of the buckets shown, so that every page is consistent in
 * itself. */
#include "server/ops/histogram.h"

#include "server/ops/metrics_text.h"

#define US(n) ((uint64_t)(n) * 1000u)

static const qr__edge seconds_edges[] = {
    {US(100), "0.0001"}, {US(200), "0.0002"},  {US(300), "0.0003"}, {US(500), "0.0005"},
    {US(1000), "0.001"}, {US(2000), "0.002"},  {US(3000), "0.003"}, {US(5000), "0.005"},
    {US(10000), "0.01"}, {US(20000), "0.02"},  {US(50000), "0.05"}, {US(100000), "0.1"},
    {US(200000), "0.2"}, {US(500000), "0.5"},  {US(1000000), "1"},  {US(2000000), "2"},
    {US(5000000), "5"},  {US(10000000), "10"},
};

static const qr__edge ratio_edges[] = {
    {250000000, "0.25"}, {500000000, "0.5"}, {700000000, "0.7"},  {800000000, "0.8"},
    {900000000, "0.9"},  {1000000000, "1"},  {1100000000, "1.1"}, {1250000000, "1.25"},
    {1500000000, "1.5"}, {2000000000, "2"},  {4000000000, "4"},   {8000000000, "8"},
};

static const qr__edge tokens_edges[] = {
    {1, "1"},         {2, "2"},         {4, "4"},       {8, "8"},       {16, "16"},
    {32, "32"},       {64, "64"},       {128, "128"},   {256, "256"},   {512, "512"},
    {1024, "1024"},   {2048, "2048"},   {4096, "4096"}, {8192, "8192"}, {16384, "16384"},
    {32768, "32768"}, {65536, "65536"},
};

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

_Static_assert(LENGTH(seconds_edges) <= QR__EDGES_MAX && LENGTH(ratio_edges) <= QR__EDGES_MAX &&
                   LENGTH(tokens_edges) <= QR__EDGES_MAX,
               "too many edges");

const qr__scale qr__scale_seconds = {seconds_edges, LENGTH(seconds_edges), true};
const qr__scale qr__scale_ratio = {ratio_edges, LENGTH(ratio_edges), true};
const qr__scale qr__scale_tokens = {tokens_edges, LENGTH(tokens_edges), false};
const qr__scale qr__scale_items = {tokens_edges, 12, false};

void qr__histogram_count(qr__histogram *histogram, const qr__scale *scale, uint64_t value) {
    size_t bucket = 0;
    while (bucket < scale->len && value > scale->edges[bucket].value)
        bucket++;
    atomic_fetch_add_explicit(&histogram->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum, value, memory_order_relaxed);
}

bool qr__histogram_used(const qr__histogram *histogram) {
    uint64_t count = 0;
    for (size_t i = 0; i <= QR__EDGES_MAX; i++)
        count += atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
    return count > 0;
}

static void put_name(qr_buf *out, const char *name, const char *suffix, qr_text labels,
                     const char *le) {
    qr_buf_text(out, qr_text_of(name));
    qr_buf_text(out, qr_text_of(suffix));
    if (labels.len > 0 || le != NULL) {
        qr_buf_byte(out, '{');
        qr_buf_text(out, labels);
        if (le != NULL)
            qr_buf_printf(out, "%sle=\"%s\"", labels.len > 0 ? "," : "", le);
        qr_buf_byte(out, '}');
    }
    qr_buf_byte(out, ' ');
}

void qr__histogram_render(const qr__histogram *histogram, const qr__scale *scale, const char *name,
                          qr_text labels, qr_buf *out) {
    uint64_t count = 0;
    for (size_t i = 0; i <= scale->len; i++) {
        count += atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
        put_name(out, name, "_bucket", labels, i < scale->len ? scale->edges[i].label : "+Inf");
        qr_buf_u64(out, count);
        qr_buf_byte(out, '\n');
    }
    put_name(out, name, "_sum", labels, NULL);
    qr__metric_amount(out, atomic_load_explicit(&histogram->sum, memory_order_relaxed),
                      scale->billionths);
    qr_buf_byte(out, '\n');
    put_name(out, name, "_count", labels, NULL);
    qr_buf_u64(out, count);
    qr_buf_byte(out, '\n');
}

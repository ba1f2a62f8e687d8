/* server/serving.c: a generation's making, its users, and its end. */
#include "server/serving.h"

#include <stdatomic.h>
#include <stdlib.h>

struct qr_serving {
    atomic_size_t pins;
    size_t len, loaded_len;
    qr_serving_entry entries[QR_LIMIT_MODELS]; /* all that are configured */
    qr_served *loaded[QR_LIMIT_MODELS];        /* the models among them, each with a pin of ours */
    qr_model_labels labels[QR_LIMIT_MODELS];   /* of these */
};

static void add_model(qr_serving *serving, qr_served *model) {
    const qr_plan_info *plan = qr_engine_plan(qr_pipeline_engine(model->pipeline));
    qr__served_pin(model);
    serving->labels[serving->loaded_len] = (qr_model_labels){
        .name = qr_pipeline_name(model->pipeline),
        .kind = qr_kind_name(qr_pipeline_kind(model->pipeline)),
        .precision = qr_precision_name(plan->precision),
        .device = plan->device,
        .isa = plan->target,
        .fell_back = plan->fell_back,
    };
    serving->loaded[serving->loaded_len++] = model;
}

qr_status qr_serving_create(const qr_serving_entry *entries, size_t len, qr_serving **out) {
    qr_serving *serving = calloc(1, sizeof *serving);
    *out = serving;
    if (serving == NULL)
        return QR_NO_MEMORY;
    QR_ASSERT(len >= 1 && len <= QR_LIMIT_MODELS);
    atomic_init(&serving->pins, 1);
    serving->len = len;
    for (size_t i = 0; i < len; i++) {
        serving->entries[i] = entries[i];
        if (entries[i].model != NULL)
            add_model(serving, entries[i].model);
    }
    return QR_OK;
}

void qr_serving_pin(qr_serving *serving) {
    size_t before = atomic_fetch_add_explicit(&serving->pins, 1, memory_order_relaxed);
    QR_ASSERT(before > 0);
}

/* Releases what this user did with the generation to whoever unpins its models. */
void qr_serving_unpin(qr_serving *serving) {
    if (serving == NULL)
        return;
    QR_CHAOS_DELAY();
    size_t before = atomic_fetch_sub_explicit(&serving->pins, 1, memory_order_acq_rel);
    QR_ASSERT(before > 0);
    if (before > 1)
        return;
    for (size_t i = 0; i < serving->loaded_len; i++)
        qr__served_unpin(serving->loaded[i]);
    free(serving);
}

size_t qr_serving_len(const qr_serving *serving) {
    return serving->loaded_len;
}

qr_served *qr_serving_at(qr_serving *serving, size_t index) {
    return serving->loaded[index];
}

static const qr_serving_entry *first_of(const qr_serving *serving, unsigned kinds) {
    for (size_t i = 0; i < serving->len; i++)
        if ((kinds & QR_KIND_BIT(serving->entries[i].kind)) != 0)
            return &serving->entries[i];
    return NULL;
}

static const qr_serving_entry *named(const qr_serving *serving, qr_text name) {
    for (size_t i = 0; i < serving->len; i++)
        if (qr_text_is(name, serving->entries[i].name))
            return &serving->entries[i];
    return NULL;
}

qr_kind qr_serving_kind(const qr_serving *serving) {
    return serving->entries[0].kind;
}

qr_served *qr_serving_first(qr_serving *serving, unsigned kinds) {
    const qr_serving_entry *entry = first_of(serving, kinds);
    return entry == NULL ? NULL : entry->model;
}

qr_served *qr_serving_named(qr_serving *serving, qr_text name) {
    const qr_serving_entry *entry = named(serving, name);
    return entry == NULL ? NULL : entry->model;
}

bool qr_serving_first_is_out(const qr_serving *serving, unsigned kinds) {
    const qr_serving_entry *entry = first_of(serving, kinds);
    return entry != NULL && entry->model == NULL;
}

bool qr_serving_named_is_out(const qr_serving *serving, qr_text name) {
    const qr_serving_entry *entry = named(serving, name);
    return entry != NULL && entry->model == NULL;
}

size_t qr_serving_labels(const qr_serving *serving, const qr_model_labels **labels) {
    *labels = serving->labels;
    return serving->loaded_len;
}

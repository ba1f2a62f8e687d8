/* server/admin.c: orders, and the one that is carried out. */
#include "server/admin.h"

#include <pthread.h>
#include <stdlib.h>

#define ORDERS_MAX 64 /* that wait; those for one model that follow each other are one */

typedef enum order_kind { ORDER_LOAD, ORDER_UNLOAD } order_kind;

/* Who gave an order and waits. */
typedef struct waiter {
    qr_link link;
    qr__admin_done done;
    void *owner;
} waiter;

typedef struct order {
    qr_link link; /* in the admin's orders */
    order_kind kind;
    size_t index; /* of the model */
    qr_link waiters;
} order;

typedef struct configured {
    char *name;       /* owned; NULL before its first load */
    qr_kind kind;     /* of the model, or of the one that was there last */
    qr_served *model; /* pinned; NULL: it is out */
    qr_status fault;  /* of its last load */
} configured;

struct qr__admin {
    qr__admin_options options;
    configured models[QR_LIMIT_MODELS];
    bool started;
    waiter starter; /* who waits for the start */
    qr_link orders; /* that wait, the oldest first */
    size_t orders_len;
    order *current; /* a load in its thread */
    qr_watch *again, *loaded;
    pthread_t thread;

    /* The thread's, until it wakes `loaded`. */
    qr_served *result;
    qr_status status;
    qr_error error;
};

static void finish_order(order *o, qr_status status, const qr_error *error) {
    for (qr_link *l; (l = qr_list_first(&o->waiters)) != NULL;) {
        waiter *w = QR_OWNER(l, waiter, link);
        qr_list_remove(&w->link);
        w->done(w->owner, status, error);
        free(w);
    }
    free(o);
}

static const char *name_of(const qr__admin *a, size_t index) {
    return a->models[index].name == NULL ? "" : a->models[index].name;
}

/* Makes what is there the current generation. */
static qr_status serve(qr__admin *a, qr_error *error) {
    qr_serving_entry entries[QR_LIMIT_MODELS];
    qr_serving *serving;
    for (size_t i = 0; i < a->options.models; i++)
        entries[i] = (qr_serving_entry){a->models[i].name, a->models[i].kind, a->models[i].model};
    if (qr_serving_create(entries, a->options.models, &serving) != QR_OK)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for another generation of models");
    a->options.serve(a->options.state, serving);
    return QR_OK;
}

/* Puts a model, or none, in the place of another, and unpins whichever is not served then. */
static qr_status put(qr__admin *a, size_t index, qr_served *model, qr_error *error) {
    configured *c = &a->models[index];
    const configured before = *c;
    c->model = model;
    if (model != NULL)
        c->kind = qr_pipeline_kind(model->pipeline);
    qr_status status = serve(a, error);
    if (status != QR_OK) {
        c->model = before.model;
        c->kind = before.kind;
    }
    qr__served_unpin(status == QR_OK ? before.model : model);
    return status;
}

/* Loads */

static void *load(void *state) {
    qr__admin *a = state;
    size_t index = a->current->index;
    const configured *c = &a->models[index];
    if (!a->started)
        qr_log_wait_always(); /* nobody is served yet, and what is said of a start is not lost */
    a->status = a->options.load(a->options.state, index, c->name, c->model, &a->result, &a->error);
    QR_CHAOS_DELAY();
    qr_watch_wake(a->loaded);
    return NULL;
}

static void count_load(const qr__admin *a, size_t index, qr_status status, const qr_error *error) {
    const char *name = name_of(a, index);
    if (status == QR_OK)
        qr_log(QR_LOG_INFO, "model %s: loaded again; requests are answered by the new one", name);
    else
        qr_log(QR_LOG_ERROR, "model %s: not loaded, %s: %s", name,
               a->models[index].model == NULL ? "and still out" : "the old one goes on",
               error->message);
    if (a->options.metrics != NULL)
        qr_metrics_reloaded(a->options.metrics, qr_metrics_model(a->options.metrics, name),
                            status == QR_OK          ? QR_RELOAD_OK
                            : status == QR_NO_MEMORY ? QR_RELOAD_REFUSED
                                                     : QR_RELOAD_FAILED);
}

static void end_load(qr__admin *a, qr_status status, qr_error *error) {
    order *o = a->current;
    a->current = NULL;
    if (status == QR_OK)
        status = put(a, o->index, a->result, error);
    a->models[o->index].fault = status;
    count_load(a, o->index, status, error);
    finish_order(o, status, error);
    qr_watch_wake(a->again);
}

/* The start: models come one by one, and are served when all are there. */

static void end_start(qr__admin *a, qr_status status, const qr_error *error) {
    for (qr_link *l; (l = qr_list_first(&a->orders)) != NULL;) {
        order *o = QR_OWNER(l, order, link);
        qr_list_remove(&o->link);
        a->orders_len--;
        finish_order(o, status, error);
    }
    a->started = status == QR_OK;
    a->starter.done(a->starter.owner, status, error);
}

static qr_status take_first(qr__admin *a, size_t index, qr_served *model, qr_error *error) {
    configured *c = &a->models[index];
    const char *name = qr_pipeline_name(model->pipeline);
    c->model = model;
    c->kind = qr_pipeline_kind(model->pipeline);
    c->name = strdup(name);
    return c->name != NULL ? QR_OK : qr_error_set(error, QR_NO_MEMORY, "model %s: no memory", name);
}

static void end_first_load(qr__admin *a, qr_status status, qr_error *error) {
    order *o = a->current;
    a->current = NULL;
    if (status == QR_OK)
        status = take_first(a, o->index, a->result, error);
    bool last = o->index + 1 == a->options.models;
    finish_order(o, status, error);
    if (status == QR_OK && last)
        status = serve(a, error);
    if (status != QR_OK || last)
        end_start(a, status, error);
    else
        qr_watch_wake(a->again);
}

static void on_loaded(void *state) {
    qr__admin *a = state;
    pthread_join(a->thread, NULL);
    if (a->started)
        end_load(a, a->status, &a->error);
    else
        end_first_load(a, a->status, &a->error);
}

/* Orders */

static void begin_load(qr__admin *a, order *o) {
    a->current = o;
    a->result = NULL;
    a->error = (qr_error){0};
    int failed = pthread_create(&a->thread, NULL, load, a);
    if (failed == 0)
        return;
    qr_error error;
    qr_status status = qr_error_set(&error, QR_IO, "cannot start a thread: %s", strerror(failed));
    (a->started ? end_load : end_first_load)(a, status, &error);
}

static void unload(qr__admin *a, order *o) {
    qr_error error = {0};
    qr_status status = QR_OK;
    if (a->models[o->index].model != NULL) {
        status = put(a, o->index, NULL, &error);
        if (status == QR_OK)
            qr_log(QR_LOG_INFO, "model %s: unloaded", name_of(a, o->index));
    }
    if (status == QR_OK)
        a->models[o->index].fault = QR_OK;
    finish_order(o, status, &error);
    qr_watch_wake(a->again);
}

static void next_order(void *state) {
    qr__admin *a = state;
    qr_link *first = qr_list_first(&a->orders);
    if (a->current != NULL || first == NULL)
        return;
    order *o = QR_OWNER(first, order, link);
    qr_list_remove(&o->link);
    a->orders_len--;
    if (o->kind == ORDER_LOAD)
        begin_load(a, o);
    else
        unload(a, o);
}

/* The last order for the model that waits. */
static order *last_order(const qr__admin *a, size_t index) {
    for (qr_link *l = a->orders.previous; l != &a->orders; l = l->previous) {
        order *o = QR_OWNER(l, order, link);
        if (o->index == index)
            return o;
    }
    return NULL;
}

/* The order that this one is, or becomes; NULL: no memory. */
static order *add_order(qr__admin *a, order_kind kind, size_t index) {
    order *o = last_order(a, index);
    if (o != NULL && o->kind == kind)
        return o;
    o = calloc(1, sizeof *o);
    if (o == NULL)
        return NULL;
    o->kind = kind;
    o->index = index;
    qr_list_init(&o->waiters);
    qr_list_append(&a->orders, &o->link);
    a->orders_len++;
    qr_watch_wake(a->again);
    return o;
}

static qr_status give_order(qr__admin *a, order_kind kind, qr_text name, qr__admin_done done,
                            void *owner) {
    size_t index = 0;
    if (!a->started)
        return QR_NOT_READY;
    while (index < a->options.models && !qr_text_is(name, a->models[index].name))
        index++;
    if (index == a->options.models)
        return QR_NO_MODEL;
    if (a->orders_len >= ORDERS_MAX)
        return QR_OVERLOADED;
    waiter *w = calloc(1, sizeof *w);
    order *o = w == NULL ? NULL : add_order(a, kind, index);
    if (o == NULL) {
        free(w);
        return QR_NO_MEMORY;
    }
    w->done = done;
    w->owner = owner;
    qr_list_append(&o->waiters, &w->link);
    return QR_OK;
}

qr_status qr__admin_load(qr__admin *a, qr_text name, qr__admin_done done, void *owner) {
    return give_order(a, ORDER_LOAD, name, done, owner);
}

qr_status qr__admin_unload(qr__admin *a, qr_text name, qr__admin_done done, void *owner) {
    return give_order(a, ORDER_UNLOAD, name, done, owner);
}

void qr__admin_reload(qr__admin *a) {
    for (size_t i = 0; a->started && i < a->options.models; i++) {
        const order *o = last_order(a, i);
        bool out = o == NULL ? a->models[i].model == NULL : o->kind == ORDER_UNLOAD;
        if (!out && add_order(a, ORDER_LOAD, i) == NULL)
            qr_log(QR_LOG_ERROR, "model %s: no memory to load it again", name_of(a, i));
    }
}

void qr__admin_start(qr__admin *a, qr__admin_done done, void *owner) {
    a->starter = (waiter){.done = done, .owner = owner};
    for (size_t i = 0; i < a->options.models; i++) {
        if (add_order(a, ORDER_LOAD, i) == NULL) {
            qr_error error;
            end_start(a, qr_error_set(&error, QR_NO_MEMORY, "no memory for a loader"), &error);
            return;
        }
    }
}

bool qr__admin_is_busy(const qr__admin *a) {
    return a->current != NULL;
}

bool qr__admin_is_done(const qr__admin *a) {
    return a->current == NULL && qr_list_first(&a->orders) == NULL;
}

void qr__admin_index(const qr__admin *a, bool ready_only, qr_buf *out) {
    const char *comma = "";
    qr_buf_byte(out, '[');
    for (size_t i = 0; i < a->options.models; i++) {
        const configured *c = &a->models[i];
        bool loading = a->current != NULL && a->current->index == i;
        const char *reason = c->model == NULL && !loading ? "unloaded" : "";
        if (c->fault != QR_OK)
            reason = qr_status_sentence(c->fault);
        if (ready_only && c->model == NULL)
            continue;
        qr_buf_printf(out, "%s{\"name\":", comma);
        qr_json_text(out, qr_text_of(name_of(a, i)));
        qr_buf_printf(out, ",\"version\":\"1\",\"state\":\"%s\",\"reason\":\"%s\"}",
                      c->model != NULL ? "READY"
                      : loading        ? "LOADING"
                                       : "UNAVAILABLE",
                      reason);
        comma = ",";
    }
    qr_buf_byte(out, ']');
}

/* Life */

qr_status qr__admin_create(const qr__admin_options *options, qr__admin **out) {
    qr__admin *a = calloc(1, sizeof *a);
    *out = NULL;
    if (a == NULL)
        return QR_NO_MEMORY;
    QR_ASSERT(options->models >= 1 && options->models <= QR_LIMIT_MODELS);
    a->options = *options;
    qr_list_init(&a->orders);
    a->again = qr_watch_wakeup(options->loop, next_order, a);
    a->loaded = qr_watch_wakeup(options->loop, on_loaded, a);
    if (a->again == NULL || a->loaded == NULL) {
        qr__admin_destroy(a);
        return QR_NO_MEMORY;
    }
    *out = a;
    return QR_OK;
}

static void forget_order(order *o) {
    for (qr_link *l; (l = qr_list_first(&o->waiters)) != NULL;) {
        waiter *w = QR_OWNER(l, waiter, link);
        qr_list_remove(&w->link);
        free(w);
    }
    free(o);
}

void qr__admin_destroy(qr__admin *a) {
    if (a == NULL)
        return;
    if (a->current != NULL) {
        pthread_join(a->thread, NULL);
        qr__served_unpin(a->status == QR_OK ? a->result : NULL);
        forget_order(a->current);
    }
    for (qr_link *l; (l = qr_list_first(&a->orders)) != NULL;) {
        order *o = QR_OWNER(l, order, link);
        qr_list_remove(&o->link);
        forget_order(o);
    }
    qr_watch_close(a->again);
    qr_watch_close(a->loaded);
    for (size_t i = 0; i < a->options.models; i++) {
        qr__served_unpin(a->models[i].model);
        free(a->models[i].name);
    }
    free(a);
}

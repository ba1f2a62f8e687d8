/* server/outlook.c: the schedules of a request's possible models. */
#include "server/outlook.h"

#include "server/api/api.h"

/* Schedules that may get a request, each once. */
typedef struct schedules {
    qr_schedule *all[QR_LIMIT_MODELS];
    size_t len;
} schedules;

static void add(schedules *s, qr_schedule *schedule) {
    for (size_t i = 0; i < s->len; i++)
        if (s->all[i] == schedule)
            return;
    s->all[s->len++] = schedule;
}

/* At least one. */
static schedules find(qr_schedule *cpu, const qr_exchange *x) {
    schedules found = {.len = 0};
    size_t models = x->model != NULL || x->serving == NULL ? 0 : qr_serving_len(x->serving);
    if (x->model != NULL)
        add(&found, x->model->schedule);
    for (size_t i = 0; i < models; i++) {
        const qr_served *model = qr_serving_at(x->serving, i);
        if (qr_api_may_ask(x, model))
            add(&found, model->schedule);
    }
    if (found.len == 0)
        add(&found, cpu);
    return found;
}

qr_status qr__outlook(qr_schedule *cpu, const qr_exchange *x) {
    schedules found = find(cpu, x);
    qr_status status = QR_OVERLOADED;
    for (size_t i = 0; status == QR_OVERLOADED && i < found.len; i++)
        status = qr_schedule_outlook(found.all[i], x->deadline_ns);
    return status;
}

uint32_t qr__outlook_retry_ms(qr_schedule *cpu, const qr_exchange *x) {
    schedules found = find(cpu, x);
    uint32_t least_ms = UINT32_MAX;
    for (size_t i = 0; i < found.len; i++) {
        uint32_t ms = qr_schedule_retry_ms(found.all[i]);
        least_ms = ms < least_ms ? ms : least_ms;
    }
    return least_ms;
}

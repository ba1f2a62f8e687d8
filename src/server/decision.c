/* server/decision.c: the questions that a head answers, in their order. */
#include "server/decision.h"

#include "server/api/api.h"
#include "server/budget.h"

/* A budget that cannot be read refuses the request alone: its framing is as good as any. */
static qr_status read_budget(const qr__rules *rules, const qr_http_value *budget, qr_exchange *x) {
    uint64_t ns = rules->default_budget_ns;
    const char *why = NULL;
    if (budget->count > 1)
        why = "it comes more than once";
    else if (budget->count == 1)
        why = qr__budget_parse(budget->text, &ns);
    x->deadline_ns = x->received_ns + ns;
    if (why == NULL)
        return QR_OK;
    x->deadline_ns = x->received_ns + rules->default_budget_ns;
    x->fault =
        (qr_fault){.place = {.field = "X-Request-Budget-Ms"}, .must = QR__BUDGET_MUST, .why = why};
    return QR_BAD_HEADER;
}

/* "batch" is for work that may wait for what people wait for. */
static qr_status read_priority(const qr_http_value *priority, qr_exchange *x) {
    const char *why = NULL;
    if (priority->count > 1)
        why = "it comes more than once";
    else if (priority->count == 1 && !qr_text_is(priority->text, "interactive") &&
             !qr_text_is(priority->text, "batch"))
        why = "it is neither";
    x->ticket.yields = why == NULL && priority->count == 1 && qr_text_is(priority->text, "batch");
    if (why == NULL)
        return QR_OK;
    x->fault = (qr_fault){
        .place = {.field = "X-Request-Priority"}, .must = "interactive or batch", .why = why};
    return QR_BAD_HEADER;
}

static qr_status decide(const qr__rules *rules, qr_text path, const qr_http_facts *facts,
                        qr_exchange *x) {
    qr_status status;
    x->deadline_ns = x->received_ns + rules->default_budget_ns;
    x->route = qr_api_route(rules->listener, facts->method, path, &status);
    if (x->route == NULL)
        return status;
    if (!qr_api_accepts(x->route, facts->content_type.text))
        return QR_BAD_TYPE;
    status = read_budget(rules, &facts->budget, x);
    if (status == QR_OK)
        status = read_priority(&facts->priority, x);
    if (status != QR_OK)
        return status;
    return qr_api_needs_model(x->route) && x->serving == NULL ? QR_NOT_READY : QR_OK;
}

qr_status qr__decide(const qr__rules *rules, qr_text path, const qr_http_facts *facts,
                     qr_exchange *x) {
    x->status = decide(rules, path, facts, x);
    return x->status;
}

/* server/decision.c: the questions that a head answers, in their order. */
#include "server/decision.h"

#include "server/api/api.h"
#include "server/budget.h"

#define COMMAND_BYTES (16u * 1024u) /* of a body that loads or unloads a model */

/* Who may open the server's UNIX socket is this machine's operator, or let in by them. */
static bool is_trusted(const qr__rules *rules, const qr_http_facts *facts) {
    if (facts->local)
        return true;
    for (size_t i = 0; i < rules->proxies_len; i++)
        if (qr__network_holds(&rules->proxies[i], facts->peer))
            return true;
    return false;
}

/* How long ago a trusted proxy got the request: the time in its queue, and on its first tries, has
 * been taken from the client's patience. Clocks differ: a start in the future was just now, and one
 * so long ago that no budget could have lasted is none. */
static uint64_t spent_ns(const qr__rules *rules, const qr_http_facts *facts, qr_exchange *x) {
    uint64_t start_ns, now_ns;
    if (facts->start.count != 1 || !is_trusted(rules, facts))
        return 0;
    now_ns = rules->wall_ns();
    x->stale_start = !qr__start_parse(facts->start.text, &start_ns) ||
                     (start_ns < now_ns && now_ns - start_ns > rules->max_budget_ns);
    return x->stale_start || start_ns >= now_ns ? 0 : now_ns - start_ns;
}

/* Envoy says how long it will wait; what it says of its own accord (15 s) is not a budget, but no
 * answer is waited for longer. */
static uint64_t most_ns(const qr__rules *rules, const qr_http_value *envoy) {
    uint64_t ns;
    if (envoy->count != 1 || qr__budget_parse(envoy->text, &ns) != NULL || ns == 0)
        return rules->max_budget_ns;
    return ns < rules->max_budget_ns ? ns : rules->max_budget_ns;
}

static void set_deadline(uint64_t budget_ns, qr_exchange *x) {
    const qr_budget *b = &x->budget;
    uint64_t ns = budget_ns < b->most_ns ? budget_ns : b->most_ns;
    x->deadline_ns = x->received_ns + (ns > b->spent_ns ? ns - b->spent_ns : 0);
}

static uint64_t budget_of(const qr_exchange *x, const qr_served *model) {
    return model->budget_ns != 0 ? model->budget_ns : x->budget.fallback_ns;
}

/* Of a request that brings none, before it is known which model it is for: the longest that it can
 * turn out to have. */
static uint64_t longest_ns(const qr_exchange *x) {
    uint64_t longest = 0;
    if (x->serving == NULL || qr_serving_len(x->serving) == 0 || qr_api_is_admin(x->route))
        return x->budget.fallback_ns;
    if (x->path_model.data != NULL) {
        const qr_served *model = qr_serving_named(x->serving, x->path_model);
        return model == NULL ? x->budget.fallback_ns : budget_of(x, model);
    }
    for (size_t i = 0; i < qr_serving_len(x->serving); i++)
        longest = qr_max(longest, budget_of(x, qr_serving_at(x->serving, i)));
    return longest;
}

void qr__decide_budget(qr_exchange *x, const qr_served *model) {
    if (!x->budget.brought)
        set_deadline(budget_of(x, model), x);
}

/* A budget that cannot be read refuses the request alone: its framing is as good as any. */
static qr_status read_budget(const qr__rules *rules, const qr_http_facts *facts, qr_exchange *x) {
    const qr_http_value *budget = &facts->budget;
    uint64_t ns = 0;
    const char *why = NULL;
    if (budget->count > 1)
        why = "it comes more than once";
    else if (budget->count == 1)
        why = qr__budget_parse(budget->text, &ns);
    if (why == NULL) {
        x->budget = (qr_budget){.brought = budget->count == 1,
                                .fallback_ns = qr_api_is_admin(x->route) ? rules->max_budget_ns
                                                                         : rules->default_budget_ns,
                                .most_ns = most_ns(rules, &facts->envoy),
                                .spent_ns = spent_ns(rules, facts, x)};
        set_deadline(budget->count == 1 ? ns : longest_ns(x), x);
        return QR_OK;
    }
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

#define ALL_OF_IT 1000u /* q=1, in thousandths */

/* The weight of an entry of Accept (RFC 9110, 12.4.2), in thousandths: 1 without one. */
static unsigned weight_of(const char *parameters, size_t len) {
    const char *q = len > 0 ? memmem(parameters, len, "q=", 2) : NULL;
    if (q == NULL || (q[-1] != ';' && q[-1] != ' ' && q[-1] != '\t')) /* it begins with one */
        return ALL_OF_IT;
    const char *end = parameters + len;
    unsigned weight = 0, unit = ALL_OF_IT;
    for (q += 2; q < end && (*q == '.' || (*q >= '0' && *q <= '9')) && unit > 0; q++)
        if (*q != '.') {
            weight += unit * (unsigned)(*q - '0');
            unit /= 10;
        }
    return weight < ALL_OF_IT ? weight : ALL_OF_IT;
}

/* An entry of Accept: its media type, and how much it is wanted; 0: not at all. */
static qr_text next_type(qr_text accept, size_t *at, unsigned *weight) {
    const char *begin = accept.data + *at;
    const char *comma = memchr(begin, ',', accept.len - *at);
    size_t len = comma == NULL ? accept.len - *at : (size_t)(comma - begin);
    *at += len + (comma != NULL);
    const qr_text entry = qr_text_trim((qr_text){begin, len});
    size_t type = 0;
    while (type < entry.len && strchr("; \t", entry.data[type]) == NULL)
        type++;
    *weight = weight_of(entry.data + type, entry.len - type);
    return (qr_text){entry.data, type};
}

/* Bytes are for who asks for them before JSON, or before anything; pages for who names them and
 * wants nothing else more, as browsers do. */
static void read_accept(qr_text accept, qr_exchange *x) {
    bool json_first = false;
    unsigned weight, html = 0, other = 0;
    for (size_t at = 0; at < accept.len;) {
        qr_text type = next_type(accept, &at, &weight);
        if (weight == 0)
            continue;
        x->wants_octets |= !json_first && qr_text_is_caseless(type, "application/octet-stream");
        json_first |= qr_text_is_caseless(type, "application/json") ||
                      qr_text_is_caseless(type, "*/*") ||
                      qr_text_is_caseless(type, "application/*");
        unsigned *most = qr_text_is_caseless(type, "text/html") ? &html : &other;
        *most = (unsigned)qr_max(*most, weight);
    }
    x->wants_html = html > 0 && html >= other;
}

/* What form the body has, and what form its answer shall have. */
static qr_status read_forms(const qr_http_facts *facts, qr_exchange *x) {
    uint64_t bytes = 0;
    read_accept(facts->accept.text, x);
    if (facts->json_length.count == 0 || !qr_api_takes_tensors(x->route))
        return QR_OK;
    if (qr_text_to_u64(facts->json_length.text, QR_LIMIT_BODY_BYTES, &bytes) && bytes > 0) {
        x->json_bytes = (size_t)bytes;
        return QR_OK;
    }
    x->fault = (qr_fault){.place = {.field = "Inference-Header-Content-Length"},
                          .must = "the number of bytes of the body's JSON"};
    return QR_BAD_HEADER;
}

/* An unknown path is refused without a key as known ones are: who has none learns nothing. */
static qr_status find_route(const qr__rules *rules, qr_text path, const qr_http_facts *facts,
                            qr_exchange *x) {
    qr_text model;
    qr_status status;
    x->listeners = rules->listener;
    x->route = qr_api_route(rules->listener, facts->method, path, &model, &status);
    bool is_admin = x->route != NULL && qr_api_is_admin(x->route);
    bool own_keys = is_admin && rules->admin != NULL && rules->admin->keys != NULL;
    const qr__access *access = own_keys ? rules->admin : rules->access;
    bool open = access == NULL || (x->route != NULL && qr_api_is_open(x->route));
    if (!open && !qr__access_admits(access, &facts->authorization))
        return QR_UNAUTHORIZED;
    if (status == QR_OK && model.data != NULL &&
        !qr_api_decode_name(model, x->path_bytes, sizeof x->path_bytes, &x->path_model))
        return QR_NO_MODEL;
    return status;
}

/* A page in somebody's browser can send a POST to where the browser reaches, without asking; and no
 * command needs many words. */
static qr_status check_command(const qr_http_facts *facts) {
    if (facts->origin.count > 0)
        return QR_FORBIDDEN;
    if (facts->chunked)
        return QR_LENGTH_REQUIRED;
    return facts->body_bytes > COMMAND_BYTES ? QR_TOO_LARGE : QR_OK;
}

/* Nothing is unpacked here: what a small body unpacks to has no bound. */
static bool is_plain(const qr_http_facts *facts) {
    const qr_http_value *coding = &facts->content_encoding;
    return facts->body_bytes == 0 || coding->text.len == 0 ||
           (coding->count == 1 && qr_text_is_caseless(coding->text, "identity"));
}

static qr_status decide(const qr__rules *rules, qr_text path, const qr_http_facts *facts,
                        qr_exchange *x) {
    x->deadline_ns = x->received_ns + rules->default_budget_ns;
    qr_status status = find_route(rules, path, facts, x);
    if (status != QR_OK)
        return status;
    if (qr_api_is_admin(x->route))
        status = check_command(facts);
    if (status != QR_OK)
        return status;
    if (!qr_api_accepts(x->route, facts->content_type.text))
        return QR_BAD_TYPE;
    if (!is_plain(facts))
        return QR_BAD_CODING;
    status = read_forms(facts, x);
    if (status == QR_OK)
        status = read_budget(rules, facts, x);
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

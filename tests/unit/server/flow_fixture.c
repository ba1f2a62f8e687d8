#include "server/flow_fixture.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS 64
#define BODY_BYTES  (256u << 10)

static pthread_t loop_thread;
static qr_watch *call_watch, *end_timer;
static void (*call_now)(void *argument);
static void *call_argument;
static sem_t call_done, parked;
static int held; /* workers */

static void on_call(void *state) {
    (void)state;
    call_now(call_argument);
    sem_post(&call_done);
}

void flow_on_loop(flow_house *house, void (*call)(void *argument), void *argument) {
    (void)house;
    call_now = call;
    call_argument = argument;
    qr_watch_wake(call_watch);
    wait_for(&call_done);
}

static void *run_loop(void *loop) {
    qr_loop_run(loop);
    return NULL;
}

static void park(void *state, int worker) {
    (void)worker;
    wait_for(state);
}

static void wake(void *state) {
    sem_post(state);
}

static void render(void *state, qr_buf *out) {
    flow_house *house = state;
    qr_metrics_now now = {.ready = true};
    if (house->cache != NULL)
        qr__cache_counts(house->cache, &now.cache);
    qr_metrics_render(house->metrics, &now, out);
}

static void open_schedule(flow_house *h, int workers, unsigned ppm) {
    const char *patterns[QR_ROUTES_MAX];
    size_t len = qr_api_patterns(patterns);
    qr_schedule_options schedule = {
        .workers = workers, .queue_items = 1000, .room = {park, wake, &parked}};
    const qr_api_options api = {
        .max_inputs = 100, .queue_items = 1000, .hooks = {.metrics = render, .state = h}};
    sem_init(&parked, 0, 0);
    sem_init(&call_done, 0, 0);
    cr_assert_eq(
        qr_metrics_create(&(qr_metrics_options){patterns, len, (size_t)workers}, &h->metrics),
        QR_OK);
    cr_assert_eq(qr_api_create(&api, &h->api), QR_OK);
    if (ppm > 0) {
        cr_assert_eq(qr__verify_create(ppm, h->metrics, &h->verify), QR_OK);
        schedule.idle = qr__verify_step;
        schedule.idle_state = h->verify;
    }
    cr_assert_eq(qr_schedule_start(&schedule, &h->schedule, NULL), QR_OK);
}

/* Commands wait here until flow_carry_out; the loop's own. */
static qr_status on_command(void *state, qr_exchange *x) {
    flow_house *h = state;
    if (h->commands_len == FLOW_COMMANDS)
        return QR_OVERLOADED;
    h->commands[h->commands_len++] = x;
    return QR_OK;
}

static void carry_out(void *argument) {
    flow_house *h = argument;
    while (h->commands_len > 0)
        qr__flow_commanded(h->flow, h->commands[--h->commands_len], h->commands_end);
}

void flow_carry_out(flow_house *h, qr_status status) {
    h->commands_end = status;
    flow_on_loop(h, carry_out, h);
}

static void open_house(flow_house *h, int workers, unsigned ppm, size_t cache_bytes) {
    qr_error error = {0};
    qr_log_init(QR_LOG_ERROR, QR_LOG_AS_TEXT);
    fixture_expect();
    *h = (flow_house){0};
    qr_quota_init(&h->quota, 64u << 20);
    open_schedule(h, workers, ppm);
    if (cache_bytes > 0)
        cr_assert_eq(qr__cache_create(cache_bytes, &h->cache), QR_OK);
    cr_assert_eq(qr_loop_create(&h->loop), QR_OK);
    const qr__flow_options flow = {.loop = h->loop,
                                   .api = h->api,
                                   .schedule = h->schedule,
                                   .metrics = h->metrics,
                                   .verify = h->verify,
                                   .cache = h->cache,
                                   .connections_max = CONNECTIONS,
                                   .max_body_bytes = BODY_BYTES,
                                   .quota = &h->quota,
                                   .default_budget_ns = 60 * QR_NS_PER_S,
                                   .max_budget_ns = QR_LIMIT_BUDGET_MS * QR_NS_PER_MS,
                                   .command = on_command,
                                   .command_state = h,
                                   .slow_ns = UINT64_MAX};
    cr_assert_eq(qr__flow_create(&flow, &h->flow), QR_OK);
    qr_http_options http = {
        .max_connections = CONNECTIONS, .max_body_bytes = BODY_BYTES, .loop = h->loop};
    const unsigned both = QR_LISTENER_MAIN | QR_LISTENER_OPS | QR_LISTENER_ADMIN;
    qr__flow_connect(h->flow, both, &http);
    cr_assert_eq(qr_http_open(&http, &h->http, &error), QR_OK, "%s", error.message);
    qr__flow_listener(h->flow, both, h->http);
    cr_assert_eq(qr_http_listen(h->http, &error), QR_OK, "%s", error.message);
    h->port = qr_http_port(h->http);
    call_watch = qr_watch_wakeup(h->loop, on_call, h);
    qr__flow_serve(h->flow,
                   fixture_serving(0, workers, h->schedule, h->metrics, h->verify != NULL));
    held = workers;
    cr_assert_eq(pthread_create(&loop_thread, NULL, run_loop, h->loop), 0);
}

void flow_open(flow_house *h, int workers) {
    open_house(h, workers, 0, 0);
}

void flow_open_checked(flow_house *h, int workers, unsigned ppm) {
    open_house(h, workers, ppm, 0);
}

void flow_open_caching(flow_house *h, int workers, size_t bytes) {
    open_house(h, workers, 0, bytes);
}

static void look_for_end(void *state) {
    flow_house *h = state;
    if (qr_http_open_connections(h->http) == 0 && qr__flow_at_work(h->flow) == 0)
        qr_loop_stop(h->loop);
}

static void begin_end(void *state) {
    flow_house *h = state;
    end_timer = qr_watch_timer(h->loop, look_for_end, h);
    qr_watch_arm(end_timer, 0, 1);
}

void flow_close(flow_house *h) {
    flow_on_loop(h, begin_end, h);
    pthread_join(loop_thread, NULL);
    cr_expect_eq(qr_http_open_requests(h->http), 0);
    qr_http_close(h->http);
    qr_schedule_stop(h->schedule);
    qr__flow_destroy(h->flow);
    qr__verify_destroy(h->verify);
    qr__cache_destroy(h->cache);
    qr_schedule_destroy(h->schedule);
    qr_loop_destroy(h->loop);
    qr_api_destroy(h->api);
    qr_metrics_destroy(h->metrics);
    cr_expect_eq(qr_quota_held(&h->quota), 0, "%zu bytes", qr_quota_held(&h->quota));
    fixture_forget();
    sem_destroy(&parked);
    sem_destroy(&call_done);
}

typedef struct handover {
    flow_house *house;
    qr_serving *serving;
} handover;

static void hand_over(void *argument) {
    const handover *h = argument;
    qr__flow_serve(h->house->flow, h->serving);
}

void flow_serve(flow_house *h, size_t seed) {
    handover next = {h, fixture_serving(seed, held, h->schedule, h->metrics, h->verify != NULL)};
    flow_on_loop(h, hand_over, &next);
}

typedef struct count {
    flow_house *house;
    size_t (*of)(const qr__flow *flow);
    size_t number;
} count;

static void count_it(void *argument) {
    count *c = argument;
    c->number = c->of(c->house->flow);
}

static size_t count_on_loop(flow_house *h, size_t (*of)(const qr__flow *flow)) {
    count c = {.house = h, .of = of};
    flow_on_loop(h, count_it, &c);
    return c.number;
}

size_t flow_at_work(flow_house *h) {
    return count_on_loop(h, qr__flow_at_work);
}

void flow_wait_at_work(flow_house *h, size_t wanted) {
    while (flow_at_work(h) != wanted)
        usleep(500);
}

size_t flow_joined(flow_house *h) {
    return count_on_loop(h, qr__flow_joined);
}

void flow_wait_joined(flow_house *h, size_t wanted) {
    while (flow_joined(h) != wanted)
        usleep(500);
}

typedef struct page {
    flow_house *house;
    qr_buf buf;
} page;

static void make_page(void *argument) {
    page *p = argument;
    render(p->house, &p->buf);
}

char *flow_metrics(flow_house *h) {
    page p = {.house = h};
    qr_buf_init(&p.buf, 1u << 20);
    flow_on_loop(h, make_page, &p);
    qr_buf_byte(&p.buf, '\0');
    return p.buf.data;
}

double flow_metric(flow_house *h, const char *series) {
    char *text = flow_metrics(h), line[200];
    snprintf(line, sizeof line, "\n%s ", series);
    char *at = strstr(text, line);
    cr_assert_not_null(at, "%s", series);
    double value = strtod(at + strlen(line), NULL);
    free(text);
    return value;
}

static void on_hold(qr_task *task) {
    flow_hold *hold = task->owner;
    sem_post(&hold->held);
    wait_for(&hold->go);
}

void flow_hold_worker(flow_house *h, flow_hold *hold) {
    hold->task = (qr_task){.run = on_hold, .owner = hold};
    sem_init(&hold->held, 0, 0);
    sem_init(&hold->go, 0, 0);
    qr_schedule_call(h->schedule, &hold->task);
    wait_for(&hold->held);
}

void flow_let_go(flow_hold *hold) {
    sem_post(&hold->go);
}

int client_connect(const flow_house *h) {
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(h->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert(fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

static void send_all(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
        cr_assert_gt(sent, 0);
        data += sent;
        len -= (size_t)sent;
    }
}

/* The head into `head`, the body into `body`; the caller deinits both. */
static void make_request(size_t input, size_t padding, const char *budget_ms, qr_buf *head,
                         qr_buf *body) {
    qr_buf_init(body, BODY_BYTES);
    qr_buf_init(head, BODY_BYTES);
    qr_buf_printf(body, "{\"input\":\"%.*s\",\"padding\":\"", (int)fixture_inputs[input].len,
                  fixture_inputs[input].data);
    for (size_t i = 0; i < padding; i++)
        qr_buf_byte(body, 'x');
    qr_buf_literal(body, "\"}");
    qr_buf_printf(head,
                  "POST /v1/embeddings HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                  "Content-Length: %zu\r\n",
                  body->len);
    if (budget_ms != NULL)
        qr_buf_printf(head, "X-Request-Budget-Ms: %s\r\n", budget_ms);
    qr_buf_literal(head, "\r\n");
    cr_assert_not(qr_buf_failed(head) || qr_buf_failed(body));
}

void client_send(int fd, size_t input, size_t padding, const char *budget_ms) {
    qr_buf head, body;
    make_request(input, padding, budget_ms, &head, &body);
    qr_buf_text(&head, qr_buf_contents(&body));
    send_all(fd, head.data, head.len);
    qr_buf_deinit(&head);
    qr_buf_deinit(&body);
}

void client_post(int fd, const char *path, const char *body) {
    char head[1024];
    int len = snprintf(head, sizeof head,
                       "POST %s HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
                       "Content-Length: %zu\r\n\r\n%s",
                       path, strlen(body), body);
    cr_assert(len > 0 && (size_t)len < sizeof head);
    send_all(fd, head, (size_t)len);
}

void client_command(int fd, const char *budget_ms) {
    char head[256];
    int len = snprintf(head, sizeof head,
                       "POST /v2/repository/models/m/load HTTP/1.1\r\nHost: h\r\n"
                       "Content-Length: 0\r\n%s%s%s\r\n",
                       budget_ms == NULL ? "" : "X-Request-Budget-Ms: ",
                       budget_ms == NULL ? "" : budget_ms, budget_ms == NULL ? "" : "\r\n");
    send_all(fd, head, (size_t)len);
}

static void count_requests(void *argument) {
    count *c = argument;
    c->number = qr_http_open_requests(c->house->http);
}

void client_send_halves(flow_house *h, int fd, size_t input, void (*between)(flow_house *)) {
    qr_buf head, body;
    count requests = {.house = h};
    make_request(input, 0, NULL, &head, &body);
    send_all(fd, head.data, head.len);
    for (; requests.number == 0; usleep(500))
        flow_on_loop(h, count_requests, &requests);
    between(h);
    send_all(fd, body.data, body.len);
    qr_buf_deinit(&head);
    qr_buf_deinit(&body);
}

int client_receive(int fd, char **body) {
    static _Thread_local char data[64u << 10];
    size_t len = 0;
    char *head_end = NULL, *length;
    if (body != NULL)
        *body = NULL;
    while (head_end == NULL) {
        ssize_t got = recv(fd, data + len, sizeof data - 1 - len, 0);
        if (got <= 0)
            return 0;
        len += (size_t)got;
        data[len] = '\0';
        head_end = strstr(data, "\r\n\r\n");
    }
    length = strstr(data, "Content-Length: ");
    cr_assert(length != NULL && length < head_end);
    size_t need = (size_t)(head_end - data) + 4 + strtoul(length + 16, NULL, 10);
    while (len < need) {
        ssize_t got = recv(fd, data + len, sizeof data - 1 - len, 0);
        cr_assert_gt(got, 0);
        len += (size_t)got;
    }
    data[len] = '\0';
    if (body != NULL)
        *body = strdup(head_end + 4);
    return (int)strtol(data + 9, NULL, 10);
}

size_t client_check(const char *body, size_t input) {
    json_t *json = json_loads(body, 0, NULL);
    cr_assert_not_null(json, "%s", body);
    size_t seed = fixture_seed_of(json_string_value(json_object_get(json, "model")));
    json_t *vector = json_object_get(json_array_get(json_object_get(json, "data"), 0), "embedding");
    float expected[TINY_HIDDEN];
    cr_assert(seed < SEEDS && json_array_size(vector) == TINY_HIDDEN);
    qr_embed_finish(fixture_expected(seed, input), TINY_HIDDEN, 0, true, expected);
    for (size_t i = 0; i < TINY_HIDDEN; i++)
        cr_assert_eq((float)json_real_value(json_array_get(vector, i)), expected[i],
                     "seed %zu, input %zu, float %zu", seed, input, i);
    json_decref(json);
    return seed;
}

void client_expect(int fd, size_t input, size_t seed) {
    char *body;
    cr_assert_eq(client_receive(fd, &body), 200);
    cr_assert_eq(client_check(body, input), seed);
    free(body);
}

#define CLIENTS_MOST 8

typedef struct traffic {
    flow_house *house;
    uint64_t dice;
    size_t padding;
    const char *hurried_ms;
    pthread_t thread;
} traffic;

static traffic clients[CLIENTS_MOST];
static size_t clients_len;
static atomic_bool clients_over;

static void *client_traffic(void *argument) {
    traffic *t = argument;
    int fd = client_connect(t->house);
    while (!atomic_load(&clients_over)) {
        t->dice = t->dice * 6364136223846793005ull + 1442695040888963407ull;
        uint64_t roll = t->dice >> 33;
        size_t input = roll % INPUTS;
        bool hurried = roll % 7 == 0;
        char *body;
        client_send(fd, input, roll % 5 == 0 ? t->padding : 0, hurried ? t->hurried_ms : NULL);
        if (roll % 11 == 0) {
            close(fd);
            fd = client_connect(t->house);
            continue;
        }
        int code = client_receive(fd, &body);
        if (code == 200)
            client_check(body, input);
        cr_assert(code == 200 || (hurried && (code == 504 || code == 429)), "%d", code);
        free(body);
    }
    close(fd);
    return NULL;
}

void clients_start(flow_house *h, size_t len, size_t padding, const char *hurried_ms) {
    cr_assert_leq(len, CLIENTS_MOST);
    for (clients_len = 0; clients_len < len; clients_len++) {
        traffic *t = &clients[clients_len];
        *t = (traffic){h, clients_len + 1, padding, hurried_ms, 0};
        cr_assert_eq(pthread_create(&t->thread, NULL, client_traffic, t), 0);
    }
}

void clients_stop(void) {
    atomic_store(&clients_over, true);
    for (size_t i = 0; i < clients_len; i++)
        pthread_join(clients[i].thread, NULL);
}

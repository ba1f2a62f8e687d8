/* server/api/tei/tei_info.c: GET /info: text-embeddings-inference's fields for the first model,
 * then all models with their plans and costs. */
#include "server/api/vectors.h"

#include <stdlib.h>

static void put_key_text(qr_buf *out, const char *key, const char *text) {
    qr_buf_printf(out, "\"%s\":", key);
    qr_json_text(out, qr_text_of(text));
    qr_buf_byte(out, ',');
}

static void put_key_number(qr_buf *out, const char *key, size_t number) {
    qr_buf_printf(out, "\"%s\":%zu,", key, number);
}

/* As torch names them. */
static const char *dtype_name(qr_precision precision) {
    switch (precision) {
    case QR_PRECISION_F32:
        return "float32";
    case QR_PRECISION_F16:
        return "float16";
    case QR_PRECISION_BF16:
        return "bfloat16";
    case QR_PRECISION_INT8:
        return "int8";
    case QR_PRECISION_AUTO:
    default:
        return "auto";
    }
}

typedef struct label {
    const char *name;
    size_t id;
} label;

static int by_name(const void *a, const void *b) {
    const label *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order != 0 ? order : (x->id > y->id) - (x->id < y->id);
}

/* Of labels of one name the first counts: a key stands once. */
static void put_ids(qr_exchange *x, const qr_model_info *about) {
    label *labels = qr_arena_array(&x->arena, about->labels, sizeof *labels);
    if (labels == NULL) {
        x->status = QR_NO_MEMORY;
        return;
    }
    for (size_t k = 0; k < about->labels; k++)
        labels[k] = (label){about->label_names[k], k};
    qsort(labels, about->labels, sizeof *labels, by_name);
    for (size_t k = 0; k < about->labels; k++) {
        if (k > 0 && strcmp(labels[k - 1].name, labels[k].name) == 0)
            continue;
        if (k > 0)
            qr_buf_byte(&x->out, ',');
        qr_json_text(&x->out, qr_text_of(labels[k].name));
        qr_buf_printf(&x->out, ":%zu", labels[k].id);
    }
}

static void put_labels(qr_exchange *x, const qr_model_info *about) {
    qr_buf *out = &x->out;
    qr_buf_literal(out, "{\"id2label\":{");
    for (size_t k = 0; k < about->labels; k++) {
        qr_buf_printf(out, "%s\"%zu\":", k == 0 ? "" : ",", k);
        qr_json_text(out, qr_text_of(about->label_names[k]));
    }
    qr_buf_literal(out, "},\"label2id\":{");
    put_ids(x, about);
    qr_buf_literal(out, "}}");
}

static void put_model_type(qr_exchange *x, const qr_pipeline *model) {
    qr_buf *out = &x->out;
    const qr_model_info *about = qr_engine_model(qr_pipeline_engine(model));
    qr_kind kind = qr_pipeline_kind(model);
    char pooling[QR_POOLING_TEXT_BYTES];
    qr_buf_printf(out, "\"model_type\":{\"%s\":", qr_kind_name(kind));
    if (kind == QR_KIND_EMBEDDING)
        qr_buf_printf(out, "{\"pooling\":\"%s\"}", qr_model_pooling_text(about, pooling));
    else if (kind == QR_KIND_SPAN)
        qr_buf_literal(out, "{}");
    else
        put_labels(x, about);
    qr_buf_literal(out, "},");
}

static void put_cost(qr_buf *out, const char *key, const qr_cost *cost) {
    qr_buf_printf(out, "\"%s\":{\"fixed_ns\":%.3f,\"token_ns\":%.3f,\"square_ns\":%.3f},", key,
                  cost->fixed_ns, cost->token_ns, cost->square_ns);
}

static void put_costs(qr_buf *out, const qr_served *served) {
    qr_buf_literal(out, "\"cost\":{");
    put_cost(out, "worker", &served->queue.cost);
    put_cost(out, "team", &served->team_cost);
    qr_buf_printf(out, "\"correction\":%.3f}", qr_queue_correction(&served->queue));
}

static void put_prompts(qr_buf *out, const qr_pipeline *model) {
    size_t len;
    const qr_prompt *prompts = qr_pipeline_prompts(model, &len),
                    *default_prompt = qr_pipeline_default_prompt(model);
    qr_buf_literal(out, "\"prompts\":[");
    for (size_t i = 0; i < len; i++) {
        if (i > 0)
            qr_buf_byte(out, ',');
        qr_json_text(out, prompts[i].name);
    }
    qr_buf_literal(out, "],\"default_prompt\":");
    if (default_prompt == NULL)
        qr_buf_literal(out, "null");
    else
        qr_json_text(out, default_prompt->name);
    qr_buf_byte(out, ',');
}

/* What an int8 number of a whole, normalised vector stands for. */
static void put_ranges(qr_exchange *x, const qr_pipeline *model) {
    float *least, *greatest;
    size_t len = qr_engine_model(qr_pipeline_engine(model))->embedding;
    if (qr_pipeline_samples(model, NULL) == 0)
        return;
    if (!qr__vector_ranges(model, len, true, &x->arena, &least, &greatest)) {
        x->status = QR_NO_MEMORY;
        return;
    }
    qr_buf_literal(&x->out, "\"int8_ranges\":{\"min\":");
    qr_json_floats(&x->out, least, len);
    qr_buf_literal(&x->out, ",\"max\":");
    qr_json_floats(&x->out, greatest, len);
    qr_buf_literal(&x->out, "},");
}

static void put_model(qr_exchange *x, const qr_served *served) {
    qr_buf *out = &x->out;
    const qr_pipeline *model = served->pipeline;
    const qr_engine *engine = qr_pipeline_engine(model);
    const qr_model_info *about = qr_engine_model(engine);
    const qr_plan_info *plan = qr_engine_plan(engine);
    qr_buf_byte(out, '{');
    put_key_text(out, "name", qr_pipeline_name(model));
    put_model_type(x, model);
    put_key_text(out, "architecture", about->architecture);
    put_key_number(out, "layers", about->layers);
    put_key_number(out, "hidden", about->hidden);
    put_key_number(out, "parameters", about->parameters);
    put_key_number(out, "max_input_length", qr_pipeline_max_tokens(model));
    if (qr_pipeline_kind(model) == QR_KIND_EMBEDDING) {
        put_key_number(out, "dimensions", about->embedding);
        put_prompts(out, model);
        put_ranges(x, model);
    }
    qr_buf_literal(out, "\"plan\":{");
    put_key_text(out, "precision", qr_precision_name(plan->precision));
    put_key_text(out, "device", plan->device);
    put_key_text(out, "isa", plan->target);
    put_key_text(out, "passed_over", plan->passed_over);
    put_key_text(out, "reason", plan->reason);
    put_key_text(out, "rates", plan->rates.name);
    put_key_number(out, "fallbacks", plan->fallbacks);
    put_key_number(out, "weight_bytes", plan->weight_bytes);
    qr_buf_printf(out, "\"from_cache\":%s,\"load_ms\":%.1f,\"pack_ms\":%.1f,\"gate_ms\":%.1f},",
                  plan->from_cache ? "true" : "false", plan->load_ms, plan->pack_ms, plan->gate_ms);
    put_costs(out, served);
    qr_buf_byte(out, '}');
}

static void put_first(qr_exchange *x, const qr_pipeline *first) {
    qr_buf *out = &x->out;
    put_key_text(out, "model_id", qr_pipeline_name(first));
    qr_buf_literal(out, "\"model_sha\":null,");
    put_key_text(out, "model_dtype",
                 dtype_name(qr_engine_plan(qr_pipeline_engine(first))->precision));
    put_key_text(out, "served_model_name", qr_pipeline_name(first));
    put_model_type(x, first);
    put_key_number(out, "max_input_length", qr_pipeline_max_tokens(first));
}

/* What the process was given, so that a fractional quota is seen without a shell in its pod. */
static void put_machine(qr_buf *out, const qr_api_options *options) {
    qr_buf_printf(out, "\"machine\":{\"mask_cores\":%d,\"quota_cores\":", options->cores.mask);
    if (options->cores.quota > 0)
        qr_buf_printf(out, "%.2f", options->cores.quota);
    else
        qr_buf_literal(out, "null");
    qr_buf_printf(out, ",\"workers\":%zu,\"memory_limit_bytes\":", options->workers);
    if (options->memory_limit_bytes > 0)
        qr_buf_printf(out, "%llu},", (unsigned long long)options->memory_limit_bytes);
    else
        qr_buf_literal(out, "null},");
}

static void encode(const qr_api *api, qr_exchange *x) {
    const qr_api_options *options = &api->options;
    qr_buf *out = &x->out;
    size_t models = x->serving == NULL ? 0 : qr_serving_len(x->serving);
    qr_buf_byte(out, '{');
    if (models > 0 && !qr_serving_first_is_out(x->serving, QR_ANY_KIND))
        put_first(x, qr_serving_at(x->serving, 0)->pipeline);
    put_key_number(out, "max_concurrent_requests", options->queue_items);
    put_key_number(out, "max_batch_tokens", options->batch_tokens);
    put_key_number(out, "tokenization_workers", options->workers);
    put_key_number(out, "max_client_batch_size", qr_min(options->max_inputs, options->queue_items));
    qr_buf_literal(out, "\"max_batch_requests\":null,\"auto_truncate\":true,");
    put_key_text(out, "version", QR_VERSION);
    put_machine(out, options);
    qr_buf_literal(out, "\"sha\":null,\"docker_label\":null,\"models\":[");
    for (size_t i = 0; i < models; i++) {
        if (i > 0)
            qr_buf_byte(out, ',');
        put_model(x, qr_serving_at(x->serving, i));
    }
    qr_buf_literal(out, "]}");
}

#define TEXT(name)  QR__S_MEMBER(name, QR__S_TEXT)
#define COUNT(name) QR__S_MEMBER(name, QR__S_COUNT)
#define FLOAT(name) QR__S_MEMBER(name, QR__S_FLOAT)
#define EMPTY(name) QR__S_MEMBER(name, QR__S_NULL)
#define LABELS                                                                                     \
    QR__S_SHAPE("\"id2label\",\"label2id\"", QR__S_MEMBER("id2label", QR__S_MAP(QR__S_TEXT)),      \
                QR__S_MEMBER("label2id", QR__S_MAP(QR__S_COUNT)))
#define MODEL_TYPE                                                                                 \
    QR__S_OBJECT(                                                                                  \
        QR__S_JOIN(QR__S_MEMBER("embedding", QR__S_SHAPE("\"pooling\"", TEXT("pooling"))),         \
                   QR__S_MEMBER("span", QR__S_ANY_OBJECT), QR__S_MEMBER("classifier", LABELS),     \
                   QR__S_MEMBER("reranker", LABELS), QR__S_MEMBER("tokens", LABELS)))
#define PLAN                                                                                       \
    QR__S_SHAPE("\"precision\",\"device\",\"isa\",\"reason\",\"weight_bytes\",\"load_ms\"",        \
                QR__S_JOIN(TEXT("precision"), TEXT("device"), TEXT("isa"), TEXT("reason"),         \
                           TEXT("rates"), TEXT("passed_over")),                                    \
                COUNT("fallbacks"), COUNT("weight_bytes"), QR__S_MEMBER("from_cache", QR__S_FLAG), \
                FLOAT("load_ms"), FLOAT("pack_ms"), FLOAT("gate_ms"))
#define COST                                                                                       \
    QR__S_SHAPE("\"fixed_ns\",\"token_ns\",\"square_ns\"", FLOAT("fixed_ns"), FLOAT("token_ns"),   \
                FLOAT("square_ns"))
#define COSTS                                                                                      \
    QR__S_SHAPE("\"worker\",\"team\",\"correction\"", QR__S_MEMBER("worker", COST),                \
                QR__S_MEMBER("team", COST), FLOAT("correction"))
#define MODEL                                                                                      \
    QR__S_SHAPE("\"name\",\"model_type\",\"max_input_length\",\"plan\",\"cost\"",                  \
                QR__S_JOIN(TEXT("name"), TEXT("architecture"), COUNT("layers"), COUNT("hidden")),  \
                COUNT("parameters"), COUNT("max_input_length"),                                    \
                QR__S_JOIN(COUNT("dimensions"), QR__S_MEMBER("prompts", QR__S_LIST(QR__S_TEXT)),   \
                           QR__S_MEMBER("default_prompt", QR__S_OR_NULL(QR__S_TEXT)),              \
                           QR__S_MEMBER("int8_ranges", QR__S_ANY_OBJECT)),                         \
                QR__S_MEMBER("model_type", MODEL_TYPE), QR__S_MEMBER("plan", PLAN),                \
                QR__S_MEMBER("cost", COSTS))
#define MACHINE                                                                                    \
    QR__S_SHAPE("\"mask_cores\",\"quota_cores\",\"workers\",\"memory_limit_bytes\"",               \
                COUNT("mask_cores"), QR__S_MEMBER("quota_cores", QR__S_OR_NULL(QR__S_FLOAT)),      \
                COUNT("workers"), QR__S_MEMBER("memory_limit_bytes", QR__S_OR_NULL(QR__S_COUNT)))
/* What describes the first model is not there while none is loaded. */
#define INFO                                                                                       \
    QR__S_SHAPE("\"max_concurrent_requests\",\"max_batch_tokens\",\"max_client_batch_size\","      \
                "\"auto_truncate\",\"version\",\"machine\",\"models\"",                            \
                QR__S_JOIN(TEXT("model_id"), EMPTY("model_sha"), TEXT("model_dtype"),              \
                           TEXT("served_model_name"), COUNT("max_input_length")),                  \
                QR__S_MEMBER("model_type", MODEL_TYPE),                                            \
                QR__S_JOIN(COUNT("max_concurrent_requests"), COUNT("max_batch_tokens"),            \
                           COUNT("tokenization_workers"), COUNT("max_client_batch_size")),         \
                EMPTY("max_batch_requests"), QR__S_MEMBER("auto_truncate", QR__S_FLAG),            \
                QR__S_JOIN(TEXT("version"), QR__S_MEMBER("machine", MACHINE)),                     \
                QR__S_JOIN(EMPTY("sha"), EMPTY("docker_label")),                                   \
                QR__S_MEMBER("models", QR__S_LIST(MODEL)))

static const qr_route rows[] = {
    {
        .method = "GET",
        .pattern = "/info",
        .summary = "Models, their plans, and limits",
        .reply = INFO,
        .encode = encode,
        .fail = qr__fail_tei,
    },
};

const qr__routes qr__tei_info_routes = {rows, QR__LENGTH(rows)};

/* build/tests/onnx_answers: opens models as a server does, each proven, and answers batches by the
 * f32 plan. A line of standard input asks for one model, a line of standard output answers:
 *
 *     {"path": "x.onnx", "batches": [{"ids": [[2, 9, 3], [2, 3]], "types": [[0, 1, 1], [0, 0]]}]}
 *
 *     {"refused": "model.onnx: ..."}
 *     {"facts": {"layers": 1, ...}, "proof": {"error": 2e-6, "cosine": 1},
 *      "inputs": [["input_ids", "ids"]], "outputs": [["last_hidden_state", "hidden"]],
 *      "answers": [{"hidden": [0.1, ...]}]}
 *
 * Answers are flat, in the shapes of engine.h's qr_output, of what the graph has an output for;
 * pooled vectors are normalised where the graph does that. Without "batches" there are no answers.
 */
#include "engine/engine.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MODEL_THREADS 1

/* One model and what is answered of it. */
typedef struct asked {
    qr_engine *engine;
    const qr_model_info *info;
    const qr_import_info *found; /* NULL: no graph */
    json_t *reply;               /* an object */
} asked;

static json_t *refusal(const char *message) {
    return json_pack("{s:s}", "refused", message);
}

/* Batches. */

static bool add_sequence(const json_t *ids, const json_t *types, qr_ragged *ragged) {
    int32_t row[QR_LIMIT_POSITIONS];
    uint8_t segments[QR_LIMIT_POSITIONS];
    const size_t tokens = json_array_size(ids);
    if (tokens == 0 || tokens > QR_LIMIT_POSITIONS)
        return false;
    for (size_t t = 0; t < tokens; t++) {
        row[t] = (int32_t)json_integer_value(json_array_get(ids, t));
        segments[t] = (uint8_t)json_integer_value(json_array_get(types, t));
    }
    return qr_ragged_add(ragged, row, segments, tokens);
}

/* False: it is none, or there is no memory for it; there is nothing to deinit then. */
static bool read_batch(const json_t *batch, qr_ragged *out) {
    const json_t *ids = json_object_get(batch, "ids"), *types = json_object_get(batch, "types");
    const size_t sequences = json_array_size(ids);
    size_t tokens = 0;
    for (size_t i = 0; i < sequences; i++)
        tokens += json_array_size(json_array_get(ids, i));
    if (sequences == 0 || !qr_ragged_init(out, tokens, sequences))
        return false;
    for (size_t i = 0; i < sequences; i++)
        if (!add_sequence(json_array_get(ids, i), json_array_get(types, i), out)) {
            qr_ragged_deinit(out);
            return false;
        }
    return true;
}

/* Answers. */

static const struct served {
    const char *name;
    qr_output output;
    const char *kinds[3]; /* of a graph's outputs, that this is the answer for */
} served[] = {
    {"hidden", QR_OUTPUT_HIDDEN, {"hidden"}},
    {"pooled", QR_OUTPUT_POOLED, {"pooled"}},
    {"span", QR_OUTPUT_SPAN, {"span", "span_start", "span_end"}},
    {"labels", QR_OUTPUT_LABELS, {"labels"}},
    {"token_labels", QR_OUTPUT_TOKEN_LABELS, {"token_labels"}},
};

static bool graph_gives(const qr_import_info *found, const struct served *about) {
    for (size_t i = 0; i < found->output_count; i++)
        for (size_t k = 0; k < 3 && about->kinds[k] != NULL; k++)
            if (strcmp(found->outputs[i].kind, about->kinds[k]) == 0)
                return true;
    return false;
}

static size_t width_of(const qr_model_info *info, qr_output output) {
    switch (output) {
    case QR_OUTPUT_HIDDEN:
        return info->hidden;
    case QR_OUTPUT_POOLED:
        return info->embedding;
    case QR_OUTPUT_SPAN:
        return 2;
    default:
        return info->labels;
    }
}

/* What numbers of length `width` are divided by. */
static double length_of(const float *numbers, size_t width) {
    double sum = 0;
    for (size_t i = 0; i < width; i++)
        sum += (double)numbers[i] * numbers[i];
    return sum > 0 ? sqrt(sum) : 1;
}

static json_t *numbers_of(const float *numbers, size_t rows, size_t width, bool normalise) {
    json_t *list = json_array();
    for (size_t i = 0; i < rows; i++) {
        const double by = normalise ? length_of(numbers + i * width, width) : 1;
        for (size_t j = 0; j < width; j++) /* JSON has no infinities */
            json_array_append_new(list, isfinite(numbers[i * width + j])
                                            ? json_real((double)numbers[i * width + j] / by)
                                            : json_null());
    }
    return list;
}

static json_t *answer_batch(const asked *a, const qr_ragged *ragged) {
    const qr_context_options sizes = {.tokens_max = ragged->tokens,
                                      .sequences_max = ragged->batch.sequences};
    qr_context *context = NULL;
    qr_error error = {0};
    if (qr_context_create(a->engine, &sizes, &context, &error) != QR_OK)
        return refusal(error.message);
    json_t *answers = json_object();
    for (size_t i = 0; i < sizeof served / sizeof *served; i++) {
        const bool pooled = served[i].output == QR_OUTPUT_POOLED;
        const bool of_texts = pooled || served[i].output == QR_OUTPUT_LABELS;
        const float *made = NULL;
        if (!graph_gives(a->found, &served[i]))
            continue;
        qr_status status = qr_context_forward(context, &ragged->batch, served[i].output, &made);
        json_object_set_new(
            answers, served[i].name,
            status != QR_OK
                ? json_string(qr_status_sentence(status))
                : numbers_of(made, of_texts ? ragged->batch.sequences : ragged->tokens,
                             width_of(a->info, served[i].output), pooled && a->info->normalize));
    }
    qr_context_destroy(context);
    return answers;
}

static void answer_batches(const asked *a, const json_t *batches) {
    json_t *answers = json_array();
    size_t at;
    const json_t *batch;
    json_array_foreach(batches, at, batch) {
        qr_ragged ragged;
        if (!read_batch(batch, &ragged)) {
            json_array_append_new(answers, refusal("this is no batch"));
            continue;
        }
        json_array_append_new(answers, answer_batch(a, &ragged));
        qr_ragged_deinit(&ragged);
    }
    json_object_set_new(a->reply, "answers", answers);
}

/* Facts. */

static json_t *ports_of(const qr_import_port *ports, size_t len) {
    json_t *list = json_array();
    for (size_t i = 0; i < len; i++)
        json_array_append_new(list, json_pack("[s,s]", ports[i].name, ports[i].kind));
    return list;
}

static void tell_facts(const asked *a) {
    static const char *const activations[] = {
        [QR_GELU] = "gelu", [QR_GELU_NEW] = "gelu_new", [QR_RELU] = "relu"};
    static const char *const heads[] = {[QR_HEAD_NONE] = "none",
                                        [QR_HEAD_SPAN] = "span",
                                        [QR_HEAD_LABELS] = "labels",
                                        [QR_HEAD_TOKENS] = "tokens"};
    const qr_model_info *info = a->info;
    const qr_proof *proof = &qr_engine_plan(a->engine)->proof;
    char pooling[QR_POOLING_TEXT_BYTES];
    json_t *facts = json_object();
    const struct {
        const char *name;
        size_t size;
    } sizes[] = {
        {"layers", info->layers},
        {"hidden", info->hidden},
        {"heads", info->heads},
        {"embedding_size", info->word_size},
        {"feed_forward", info->feed_forward},
        {"vocab", info->vocab},
        {"positions", info->positions},
        {"types", info->types},
        {"labels", info->labels},
        {"fixed_batch", a->found->fixed_batch},
        {"fixed_tokens", a->found->fixed_tokens},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        json_object_set_new(facts, sizes[i].name, json_integer((json_int_t)sizes[i].size));
    json_object_set_new(facts, "eps", json_real((double)info->layer_norm_eps));
    json_object_set_new(facts, "activation", json_string(activations[info->activation]));
    json_object_set_new(facts, "head", json_string(heads[info->head]));
    json_object_set_new(facts, "pooling", json_string(qr_model_pooling_text(info, pooling)));
    json_object_set_new(facts, "normalize", json_boolean(info->normalize));
    json_object_set_new(facts, "quantized", json_boolean(a->found->quantized));
    json_object_set_new(facts, "half", json_boolean(a->found->half));
    json_object_set_new(a->reply, "facts", facts);
    json_object_set_new(a->reply, "proof",
                        json_pack("{s:f,s:f}", "error", proof->error, "cosine", proof->cosine));
    json_object_set_new(a->reply, "inputs", ports_of(a->found->inputs, a->found->input_count));
    json_object_set_new(a->reply, "outputs", ports_of(a->found->outputs, a->found->output_count));
}

/* Nothing is kept: each model is proven here and now. */
static json_t *answer(const char *path, const json_t *batches) {
    const qr_engine_options options = {
        .precision = QR_PRECISION_F32, .threads = MODEL_THREADS, .cache_dir = "none"};
    qr_model *model = NULL;
    qr_import_info *found = NULL;
    qr_error error = {0};
    asked a = {0};
    qr_status status = qr_model_open(path, &model, &error);
    if (status == QR_OK)
        status = qr_import_info_create(model, &found, &error);
    if (status == QR_OK)
        status = qr_engine_create(model, &options, &a.engine, &error);
    if (status != QR_OK || found == NULL || !qr_engine_plan(a.engine)->proven) {
        a.reply = refusal(status != QR_OK ? error.message : "this is no proven graph");
    } else {
        a.reply = json_object();
        a.info = qr_engine_model(a.engine);
        a.found = found;
        tell_facts(&a);
        answer_batches(&a, batches);
    }
    qr_engine_destroy(a.engine);
    qr_import_info_destroy(found);
    qr_model_close(model);
    return a.reply;
}

int main(void) {
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    qr_log_init(QR_LOG_ERROR, QR_LOG_AS_TEXT);
    while ((len = getline(&line, &room, stdin)) > 0) {
        json_t *request = json_loadb(line, (size_t)len, 0, NULL);
        const char *path = json_string_value(json_object_get(request, "path"));
        json_t *reply = path == NULL ? refusal("this is no request")
                                     : answer(path, json_object_get(request, "batches"));
        json_dumpf(reply, stdout, JSON_COMPACT | JSON_REAL_PRECISION(8));
        putchar('\n');
        fflush(stdout);
        json_decref(reply);
        json_decref(request);
    }
    free(line);
    return 0;
}

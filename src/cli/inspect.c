/* cli/inspect.c: `querent inspect`: what a model is, what it costs, and the plan that this machine
 * would run it with. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/import_chart.h"
#include "cli/import_text.h"
#include "cli/measure.h"
#include "cli/model_options.h"
#include "cli/output.h"

#define OUTPUT_MAX_BYTES (1u << 20)

/* All that is printed. */
typedef struct inspected {
    const qr_pipeline *pipeline;
    const qr_import_info *found; /* NULL: no ONNX file */
    const qr__measured *here;    /* NULL: nothing was measured */
} inspected;

static const char *bool_name(bool value) {
    return value ? "true" : "false";
}

static double operations(const qr_model_info *model, uint32_t tokens) {
    const uint32_t starts[] = {0, tokens};
    return qr_model_operations(model, starts, 1);
}

static size_t stored_bytes(const qr_model_info *model) {
    const bool is_f32 = strcmp(model->dtype, "f32") == 0;
    const bool is_int8 = strcmp(model->dtype, "int8") == 0; /* of an ONNX graph */
    return model->parameters * (is_f32 ? 4 : is_int8 ? 1 : 2);
}

static double mib(size_t bytes) {
    return (double)bytes / (1 << 20);
}

static void print_measured(const qr__measured *here, const qr_rates *rates, qr_buf *out) {
    qr_precision said, found;
    bool agrees = qr__measure_agrees(here, rates, &said, &found);
    qr_buf_printf(out, "measured    %u tokens, one thread:", QR__MEASURE_TOKENS);
    for (unsigned p = QR_PRECISION_F32; p < QR_PRECISIONS; p++)
        if (here->ms[p] > 0)
            qr_buf_printf(out, "%s %s %.3f ms", p == QR_PRECISION_F32 ? "" : ",",
                          qr_precision_name((qr_precision)p), here->ms[p]);
    if (agrees)
        qr_buf_printf(out, "; %s is first, as in the table\n", qr_precision_name(said));
    else
        qr_buf_printf(out, "; the table puts %s first, but here %s takes %.2f of its time\n",
                      qr_precision_name(said), qr_precision_name(found),
                      here->ms[found] / here->ms[said]);
}

/* What the table's rates say of a short query, one precision after the other. */
static double predicted_ms(const qr_model_info *model, const qr_rates *rates, unsigned precision) {
    return operations(model, QR__MEASURE_TOKENS) / rates->gops[precision] / 1e6;
}

static void print_predicted(const qr_model_info *model, const qr_rates *rates, qr_buf *out) {
    bool any = false;
    for (unsigned p = QR_PRECISION_F32; p < QR_PRECISIONS; p++)
        if (rates->gops[p] > 0) {
            if (!any)
                qr_buf_printf(out, "predicted   %u tokens, one thread:", QR__MEASURE_TOKENS);
            qr_buf_printf(out, "%s %s %.3f ms", any ? "," : "", qr_precision_name((qr_precision)p),
                          predicted_ms(model, rates, p));
            any = true;
        }
    qr_buf_append(out, "\n", any);
}

static void print_proof(const qr_plan_info *plan, qr_buf *out) {
    qr_buf_printf(out, "proof       %s\n", plan->proof_text);
    if (plan->proof_from_cache)
        qr_buf_literal(out, "            remembered from an earlier start\n");
    else
        qr_buf_printf(out, "            found in %.0f ms\n", plan->proof_ms);
}

static void print_text(const inspected *all, qr_buf *out) {
    const qr_pipeline *pipeline = all->pipeline;
    const qr_model_info *model = qr_engine_model(qr_pipeline_engine(pipeline));
    const qr_plan_info *plan = qr_engine_plan(qr_pipeline_engine(pipeline));
    const qr_tokenizer_info *tokenizer = qr_tokenizer_get_info(qr_pipeline_tokenizer(pipeline));
    char pooling[QR_POOLING_TEXT_BYTES], place[QR_PLAN_PLACE_BYTES];
    qr_buf_printf(out, "model       %s (%s, %s)\n", qr_pipeline_dir(pipeline), model->architecture,
                  qr_kind_name(qr_pipeline_kind(pipeline)));
    if (all->found != NULL)
        qr__import_text(all->found, out);
    if (plan->proven)
        print_proof(plan, out);
    qr_buf_printf(out, "sizes       %zu layers x %zu hidden, %zu heads, feed-forward %zu (%s)\n",
                  model->layers, model->hidden, model->heads, model->feed_forward,
                  qr_activation_name(model->activation));
    qr_buf_printf(out, "parameters  %.1f million, stored as %s (%.1f MiB)\n",
                  (double)model->parameters / 1e6, model->dtype, mib(stored_bytes(model)));
    if (qr_pipeline_kind(pipeline) == QR_KIND_EMBEDDING)
        qr_buf_printf(out, "pooling     %s, %zu numbers behind %zu Dense modules, %s\n",
                      qr_model_pooling_text(model, pooling), model->embedding, model->denses,
                      model->normalize ? "normalised" : "not normalised");
    if (model->labels > 0)
        qr_buf_printf(out, "labels      %zu\n", model->labels);
    qr_buf_printf(out, "tokenizer   %s, %s, %zu ids (the model has %zu)\n", tokenizer->source,
                  tokenizer->lowercase ? "lower-cased" : "cased", tokenizer->vocab, model->vocab);
    qr_buf_printf(out, "longest     %zu tokens (%zu positions)\n", qr_pipeline_max_tokens(pipeline),
                  model->positions);
    qr_buf_printf(out, "plan        %s on %s: %s\n", qr_precision_name(plan->precision),
                  qr_plan_place(plan, place), plan->reason);
    if (plan->passed_over[0] != '\0')
        qr_buf_printf(out, "            %s\n", plan->passed_over);
    qr_buf_printf(out, "rates       %s\n", plan->rates.name);
    print_predicted(model, &plan->rates, out);
    if (all->here != NULL)
        print_measured(all->here, &plan->rates, out);
    qr_buf_printf(out, "memory      %.1f MiB of packed weights\n", mib(plan->weight_bytes));
    qr_buf_printf(out, "operations  %.1f million a token; %.0f million for a query of 9 tokens\n",
                  operations(model, 1) / 1e6, operations(model, 9) / 1e6);
    if (plan->from_cache)
        qr_buf_printf(out, "load        %.0f ms, from the cache\n", plan->load_ms);
    else
        qr_buf_printf(out, "load        %.0f ms, packing %.0f ms, gate %.0f ms\n", plan->load_ms,
                      plan->pack_ms, plan->gate_ms);
}

static void json_pair(qr_buf *out, const char *key, const char *value) {
    qr_json_text(out, qr_text_of(key));
    qr_buf_byte(out, ':');
    qr_json_text(out, qr_text_of(value));
    qr_buf_byte(out, ',');
}

static void json_labels(const qr_model_info *model, qr_buf *out) {
    qr_buf_literal(out, "\"labels\":[");
    for (size_t i = 0; i < model->labels; i++) {
        qr_buf_append(out, ",", i > 0);
        qr_json_text(out, qr_text_of(model->label_names[i]));
    }
    qr_buf_literal(out, "],");
}

static void json_model(const qr_pipeline *pipeline, qr_buf *out) {
    const qr_model_info *model = qr_engine_model(qr_pipeline_engine(pipeline));
    char pooling[QR_POOLING_TEXT_BYTES];
    json_pair(out, "path", qr_pipeline_dir(pipeline));
    json_pair(out, "name", qr_pipeline_name(pipeline));
    json_pair(out, "kind", qr_kind_name(qr_pipeline_kind(pipeline)));
    json_pair(out, "architecture", model->architecture);
    json_pair(out, "dtype", model->dtype);
    json_pair(out, "activation", qr_activation_name(model->activation));
    if (qr_pipeline_kind(pipeline) == QR_KIND_EMBEDDING)
        json_pair(out, "pooling", qr_model_pooling_text(model, pooling));
    json_labels(model, out);
    if (qr_pipeline_kind(pipeline) == QR_KIND_EMBEDDING)
        qr_buf_printf(out, "\"normalize\":%s,\"embedding\":%zu,\"denses\":%zu,",
                      bool_name(model->normalize), model->embedding, model->denses);
    qr_buf_printf(out, "\"layers\":%zu,\"hidden\":%zu,\"heads\":%zu,\"feed_forward\":%zu,",
                  model->layers, model->hidden, model->heads, model->feed_forward);
    qr_buf_printf(out, "\"vocab\":%zu,\"positions\":%zu,\"types\":%zu,\"parameters\":%zu,",
                  model->vocab, model->positions, model->types, model->parameters);
    qr_buf_printf(out, "\"max_tokens\":%zu,\"layer_norm_eps\":", qr_pipeline_max_tokens(pipeline));
    qr_json_float(out, model->layer_norm_eps);
    qr_buf_printf(out, ",\"stored_bytes\":%zu,", stored_bytes(model));
    qr_buf_printf(out, "\"operations\":{\"token\":%.0f,\"query_9\":%.0f,\"longest\":%.0f},",
                  operations(model, 1), operations(model, 9),
                  operations(model, (uint32_t)qr_pipeline_max_tokens(pipeline)));
}

static void json_predicted(const qr_model_info *model, const qr_rates *rates, qr_buf *out) {
    qr_buf_printf(out, "\"predicted\":{\"tokens\":%u,\"ms\":{", QR__MEASURE_TOKENS);
    bool any = false;
    for (unsigned p = QR_PRECISION_F32; p < QR_PRECISIONS; p++)
        if (rates->gops[p] > 0) {
            qr_buf_printf(out, "%s\"%s\":%.4f", any ? "," : "", qr_precision_name((qr_precision)p),
                          predicted_ms(model, rates, p));
            any = true;
        }
    qr_buf_literal(out, "}},");
}

static void json_measured(const qr__measured *here, const qr_rates *rates, qr_buf *out) {
    qr_precision said, found;
    bool agrees = qr__measure_agrees(here, rates, &said, &found);
    qr_buf_printf(out, "\"measured\":{\"tokens\":%u,\"ms\":{", QR__MEASURE_TOKENS);
    for (unsigned p = QR_PRECISION_F32; p < QR_PRECISIONS; p++)
        if (here->ms[p] > 0)
            qr_buf_printf(out, "%s\"%s\":%.4f", p == QR_PRECISION_F32 ? "" : ",",
                          qr_precision_name((qr_precision)p), here->ms[p]);
    qr_buf_printf(out, "},\"table\":\"%s\",\"fastest\":\"%s\",\"agrees\":%s},",
                  qr_precision_name(said), qr_precision_name(found), bool_name(agrees));
}

static void json_proof(const qr_plan_info *plan, qr_buf *out) {
    qr_buf_literal(out, "\"proof\":{\"error\":");
    qr_json_double(out, plan->proof.error);
    qr_buf_literal(out, ",\"allowed\":");
    qr_json_double(out, plan->proof.allowed);
    qr_buf_literal(out, ",\"cosine\":");
    qr_json_double(out, plan->proof.cosine);
    qr_buf_printf(out, ",\"ms\":%.1f,\"from_cache\":%s},", plan->proof_ms,
                  bool_name(plan->proof_from_cache));
}

static void print_json(const inspected *all, qr_buf *out) {
    const qr_pipeline *pipeline = all->pipeline;
    const qr_plan_info *plan = qr_engine_plan(qr_pipeline_engine(pipeline));
    const qr_tokenizer_info *tokenizer = qr_tokenizer_get_info(qr_pipeline_tokenizer(pipeline));
    qr_buf_byte(out, '{');
    json_model(pipeline, out);
    if (all->found != NULL) {
        qr_buf_literal(out, "\"onnx\":");
        qr__import_json(all->found, out);
        qr_buf_byte(out, ',');
    }
    if (plan->proven)
        json_proof(plan, out);
    json_predicted(qr_engine_model(qr_pipeline_engine(pipeline)), &plan->rates, out);
    if (all->here != NULL)
        json_measured(all->here, &plan->rates, out);
    qr_buf_literal(out, "\"tokenizer\":{");
    json_pair(out, "source", tokenizer->source);
    qr_buf_printf(out, "\"vocab\":%zu,\"lowercase\":%s,\"strip_accents\":%s,\"clean_text\":%s,",
                  tokenizer->vocab, bool_name(tokenizer->lowercase),
                  bool_name(tokenizer->strip_accents), bool_name(tokenizer->clean_text));
    qr_buf_printf(out, "\"handle_chinese_chars\":%s,\"model_max_length\":%zu},\"plan\":{",
                  bool_name(tokenizer->handle_chinese_chars), tokenizer->model_max_length);
    json_pair(out, "precision", qr_precision_name(plan->precision));
    json_pair(out, "device", plan->device);
    json_pair(out, "isa", plan->target);
    json_pair(out, "passed_over", plan->passed_over);
    json_pair(out, "reason", plan->reason);
    json_pair(out, "rates", plan->rates.name);
    qr_buf_printf(out, "\"fallbacks\":%zu,\"weight_bytes\":%zu,\"from_cache\":%s,", plan->fallbacks,
                  plan->weight_bytes, bool_name(plan->from_cache));
    qr_buf_printf(out, "\"load_ms\":%.1f,\"pack_ms\":%.1f,\"gate_ms\":%.1f}}\n", plan->load_ms,
                  plan->pack_ms, plan->gate_ms);
}

static int fail(const qr__command *command, const qr_error *error) {
    fprintf(stderr, "querent %s: %s\n", command->name, error->message);
    return QR_EXIT_FAULT;
}

/* 0, or after a message the exit code. */
static int measure(const qr__command *command, const qr_pipeline *pipeline, const char *path,
                   qr__measured *out) {
    qr_error error = {0};
    const qr_plan_info *plan = qr_engine_plan(qr_pipeline_engine(pipeline));
    const char *target = plan->target;
    if (strcmp(plan->device, "cpu") != 0) {
        qr_error_set(&error, QR_BAD_OPTION,
                     "--measure: times precisions of the CPU, and this plan is for %s; add "
                     "--device cpu",
                     plan->device);
        return fail(command, &error);
    }
    if (qr__measure(path, target, out, &error) == QR_OK)
        return QR_EXIT_OK;
    return fail(command, &error);
}

/* 0, or after a message the exit code. */
static int draw(const qr__command *command, const inspected *all, const char *path) {
    qr_error error = {0};
    if (all->found == NULL) {
        qr_error_set(&error, QR_BAD_OPTION,
                     "--svg: %s: is no ONNX model, there is no graph to draw",
                     qr_pipeline_dir(all->pipeline));
        return fail(command, &error);
    }
    const qr__import_chart chart = {
        .found = all->found, .note = qr_engine_plan(qr_pipeline_engine(all->pipeline))->proof_text};
    qr_buf picture;
    qr_buf_init(&picture, OUTPUT_MAX_BYTES);
    int code = QR_EXIT_FAULT;
    if (qr__import_chart_svg(&chart, &picture, &error) != QR_OK)
        fail(command, &error);
    else if (qr__cli_write_file(path, &picture))
        code = QR_EXIT_OK;
    qr_buf_deinit(&picture);
    return code;
}

static int print(const inspected *all, bool json) {
    qr_buf out;
    qr_buf_init(&out, OUTPUT_MAX_BYTES);
    (json ? print_json : print_text)(all, &out);
    int code = qr__cli_write(&out) ? QR_EXIT_OK : QR_EXIT_FAULT;
    qr_buf_deinit(&out);
    return code;
}

/* What the command line asks for beside the model. */
typedef struct wishes {
    bool json, timed;
    const char *svg; /* NULL: no picture */
} wishes;

/* The graph is the open model's: it is opened once more, and stays so while facts are shown. */
static int inspect(const qr__command *command, const wishes *wanted, const char *path,
                   const qr_pipeline *pipeline) {
    qr_error error = {0};
    qr_model *model = NULL;
    qr_import_info *found = NULL;
    qr__measured here;
    int code = QR_EXIT_OK;
    if (qr_model_open(path, &model, &error) != QR_OK ||
        qr_import_info_create(model, &found, &error) != QR_OK)
        code = fail(command, &error);
    if (code == QR_EXIT_OK && wanted->timed)
        code = measure(command, pipeline, path, &here);
    const inspected all = {pipeline, found, wanted->timed ? &here : NULL};
    if (code == QR_EXIT_OK && wanted->svg != NULL)
        code = draw(command, &all, wanted->svg);
    if (code == QR_EXIT_OK)
        code = print(&all, wanted->json);
    qr_import_info_destroy(found);
    qr_model_close(model);
    return code;
}

int qr_cli_inspect(int argc, char **argv) {
    qr__cli_model model = {0};
    wishes wanted = {.json = false};
    const qr__flag flags[] = {
        {"json", QR_FLAG_BOOL, &wanted.json, .help = "print one JSON object"},
        {"measure", QR_FLAG_BOOL, &wanted.timed,
         .help = "also time every precision here, beside the table that auto goes by"},
        {"svg", QR_FLAG_TEXT, &wanted.svg, .value = "FILE",
         .help = "also draw an ONNX model's nodes, gathered into fused steps"},
        QR_CLI_PLAN_FLAGS(model),
        {0}};
    const qr__command command = {"inspect",
                                 "Says what the model at PATH (a directory, or an ONNX file) is, "
                                 "what it costs, and how\nthis machine would run it.",
                                 flags, "PATH"};
    qr_pipeline *pipeline = NULL;
    int code = qr__flags_parse(&command, argc, argv, &model.dir);
    if (code == QR_FLAGS_GO)
        code = qr__cli_model_load(&command, &model, &pipeline);
    if (code != QR_FLAGS_GO)
        return code;
    code = inspect(&command, &wanted, model.dir, pipeline);
    qr_pipeline_destroy(pipeline);
    return code;
}

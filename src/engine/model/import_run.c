/* engine/model/import_run.c: a ragged batch through a graph that takes padded ones.
 *
 * The batch goes in parts: as many sequences as the graph takes at once, and of one length where it
 * takes no mask. Each part is a run of its own, whose stages stay until the end: all its values
 * would be ten times as many numbers. Rows that only
 * fill a part up to the graph's fixed size repeat its first sequence and are cut away with the
 * padding.
 */
#include "engine/model/open_import.h"

#include <stdlib.h>

/* One run of the graph. */
typedef struct import_part {
    const uint32_t *sequences; /* [count] of the batch; borrowed from the run's order */
    size_t count;
    size_t rows, tokens; /* as the graph gets them: [rows][tokens] */
    qr_onnx_run *run;    /* owned */
} import_part;

struct qr_import_run {
    const qr_import *import;
    uint32_t *starts; /* [B + 1], the batch's */
    size_t sequences; /* B */
    uint32_t *order;  /* [B] sequences, part by part */
    import_part *parts;
    size_t len;
    bool *kept;                                 /* [value_count] of the graph */
    float *outputs[QR_OUTPUT_TOKEN_LABELS + 1]; /* NULL: the graph has no such output */
    float **stages;                             /* [stage_count], made when they are asked for */
};

static size_t length_of(const qr_import_run *run, size_t sequence) {
    return run->starts[sequence + 1] - run->starts[sequence];
}

static const qr__graph_input *find_input(const qr__recognised *found, qr__graph_input_kind kind) {
    for (size_t i = 0; i < found->input_count; i++)
        if (found->inputs[i].kind == kind)
            return &found->inputs[i];
    return NULL;
}

/* Feeding. */

/* What the graph gets at [row][token] of a part; a row behind the last is the first again. */
static int64_t number_at(const qr_import_run *run, const import_part *part, const qr_batch *batch,
                         qr__graph_input_kind kind, size_t row, size_t token) {
    const uint32_t sequence = part->sequences[row < part->count ? row : 0];
    const bool padding = token >= length_of(run, sequence);
    const size_t at = run->starts[sequence] + token;
    switch (kind) {
    case QR__GRAPH_IDS:
        return padding ? 0 : batch->ids[at];
    case QR__GRAPH_MASK:
        return !padding;
    case QR__GRAPH_TYPES:
        return padding || batch->types == NULL ? 0 : batch->types[at];
    case QR__GRAPH_POSITIONS:
        return (int64_t)token;
    }
    return 0;
}

/* [rows][tokens], but for positions that are declared as [tokens] or as one row for all. */
static qr_onnx_tensor *create_input(const qr_onnx_value *value, qr__graph_input_kind kind,
                                    const import_part *part) {
    size_t shape[2] = {part->rows, part->tokens};
    if (kind == QR__GRAPH_POSITIONS && value->rank == 1)
        return qr_onnx_tensor_create(value->type, 1, &shape[1]);
    if (kind == QR__GRAPH_POSITIONS && value->rank == 2 && value->dims[0] == 1)
        shape[0] = 1;
    return qr_onnx_tensor_create(value->type, 2, shape);
}

static qr_status feed_input(const qr_import_run *run, const import_part *part,
                            const qr_batch *batch, const qr__graph_input *input, qr_error *error) {
    const qr_onnx_graph *graph = run->import->found->graph;
    const qr_onnx_value *value = &graph->values[input->value];
    qr_onnx_tensor *tensor = create_input(value, input->kind, part);
    if (tensor == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory for the graph's inputs",
                            graph->path);
    float *floats = qr_onnx_floats(tensor);
    for (size_t i = 0; i < tensor->count; i++) {
        const int64_t number =
            number_at(run, part, batch, input->kind, i / part->tokens, i % part->tokens);
        if (floats != NULL)
            floats[i] = (float)number;
        else
            qr_onnx_set_int(tensor, i, number);
    }
    qr_onnx_run_feed(part->run, input->value, tensor);
    qr_onnx_tensor_destroy(tensor);
    return QR_OK;
}

static qr_status run_part(qr_import_run *run, import_part *part, const qr_batch *batch, bool bypass,
                          qr_error *error) {
    const qr__recognised *found = run->import->found;
    const qr_onnx_run_options options = {.kept = run->kept, .bypass = bypass};
    qr_status status = qr_onnx_run_create(found->graph, &options, &part->run, error);
    for (size_t i = 0; status == QR_OK && i < found->input_count; i++)
        status = feed_input(run, part, batch, &found->inputs[i], error);
    return status == QR_OK ? qr_onnx_run_forward(part->run, error) : status;
}

/* Dividing. */

/* Whether a sequence can stand in a part: without a mask all are of one length. */
static bool fits(const qr_import_run *run, const import_part *part, size_t sequence, bool masked) {
    const size_t batch = run->import->found->fixed_batch;
    return (batch == 0 || part->count < batch) &&
           (masked || length_of(run, part->sequences[0]) == length_of(run, sequence));
}

static qr_status size_part(const qr_import_run *run, import_part *part, bool masked,
                           qr_error *error) {
    const qr__recognised *found = run->import->found;
    size_t longest = 0;
    for (size_t i = 0; i < part->count; i++)
        longest = qr_max(longest, length_of(run, part->sequences[i]));
    part->rows = found->fixed_batch > 0 ? found->fixed_batch : part->count;
    part->tokens = found->fixed_tokens > 0 ? found->fixed_tokens : longest;
    if (longest > part->tokens || (!masked && longest != part->tokens))
        return qr_error_set(error, QR_BAD_MODEL,
                            "%s: the graph takes sequences of %s%zu tokens, not one of %zu",
                            found->graph->path, masked ? "at most " : "", part->tokens, longest);
    return QR_OK;
}

/* Each sequence goes into the part that is being filled, or is left for a later one. */
static qr_status divide(qr_import_run *run, qr_error *error) {
    const bool masked = find_input(run->import->found, QR__GRAPH_MASK) != NULL;
    size_t placed = 0;
    qr_status status = QR_OK;
    bool *taken = calloc(run->sequences, sizeof *taken);
    if (taken == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for a batch's parts");
    while (status == QR_OK && placed < run->sequences) {
        import_part *part = &run->parts[run->len++];
        part->sequences = &run->order[placed];
        for (size_t b = 0; b < run->sequences; b++) {
            if (taken[b] || (part->count > 0 && !fits(run, part, b, masked)))
                continue;
            taken[b] = true;
            run->order[placed++] = (uint32_t)b;
            part->count++;
        }
        status = size_part(run, part, masked, error);
    }
    free(taken);
    return status;
}

/* Gathering. */

/* Cuts [rows][tokens][width] back to the batch's own tokens, to[T][stride] from `column` on. */
static bool cut_tokens(const qr_import_run *run, const import_part *part,
                       const qr_onnx_tensor *from, size_t width, size_t stride, size_t column,
                       float *to) {
    if (from == NULL || from->floats == NULL || from->count != part->rows * part->tokens * width)
        return false;
    for (size_t row = 0; row < part->count; row++) {
        const uint32_t sequence = part->sequences[row];
        const float *source = from->floats + row * part->tokens * width;
        float *target = to + run->starts[sequence] * stride + column;
        for (size_t t = 0; t < length_of(run, sequence); t++)
            memcpy(target + t * stride, source + t * width, width * sizeof *to);
    }
    return true;
}

static bool cut_sequences(const import_part *part, const qr_onnx_tensor *from, size_t width,
                          float *to) {
    if (from == NULL || from->floats == NULL || from->count != part->rows * width)
        return false;
    for (size_t row = 0; row < part->count; row++)
        memcpy(to + part->sequences[row] * width, from->floats + row * width, width * sizeof *to);
    return true;
}

/* Where an output of the graph goes. */
typedef struct output_place {
    bool taken; /* false: nothing that the engine gives */
    qr_output output;
    bool of_tokens;
    size_t width;          /* of the graph's rows */
    size_t stride, column; /* of the engine's */
} output_place;

static output_place place_of(qr__graph_output_kind kind, const qr_model_info *info) {
    const size_t C = info->hidden, K = info->labels;
    switch (kind) {
    case QR__GRAPH_HIDDEN:
        return (output_place){true, QR_OUTPUT_HIDDEN, true, C, C, 0};
    case QR__GRAPH_POOLED:
        return (output_place){true, QR_OUTPUT_POOLED, false, info->embedding, info->embedding, 0};
    case QR__GRAPH_SPAN_START:
        return (output_place){true, QR_OUTPUT_SPAN, true, 1, 2, 0};
    case QR__GRAPH_SPAN_END:
        return (output_place){true, QR_OUTPUT_SPAN, true, 1, 2, 1};
    case QR__GRAPH_LABELS:
        return (output_place){true, QR_OUTPUT_LABELS, false, K, K, 0};
    case QR__GRAPH_TOKEN_LABELS:
        return (output_place){true, QR_OUTPUT_TOKEN_LABELS, true, K, K, 0};
    case QR__GRAPH_LEFT_OUT:
        break;
    }
    return (output_place){.taken = false};
}

static qr_status gather_output(qr_import_run *run, const qr__graph_output *from, qr_error *error) {
    const qr__recognised *found = run->import->found;
    const output_place place = place_of(from->kind, &found->info);
    if (!place.taken)
        return QR_OK;
    const size_t rows = place.of_tokens ? run->starts[run->sequences] : run->sequences;
    float **to = &run->outputs[place.output];
    if (*to == NULL)
        *to = calloc(qr_max(rows * place.stride, 1), sizeof **to);
    if (*to == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory for its outputs",
                            found->graph->path);
    for (size_t i = 0; i < run->len; i++) {
        const import_part *part = &run->parts[i];
        const qr_onnx_tensor *value = qr_onnx_run_value(part->run, from->value);
        const bool cut = place.of_tokens ? cut_tokens(run, part, value, place.width, place.stride,
                                                      place.column, *to)
                                         : cut_sequences(part, value, place.width, *to);
        if (!cut) {
            char shape[128] = "(none)";
            if (value != NULL)
                qr_onnx_shape_text(value, shape);
            return qr_error_set(error, QR_BAD_MODEL,
                                "%s: output `%s` has shape %s, where %zu numbers %s were expected",
                                found->graph->path, found->graph->values[from->value].name, shape,
                                place.width, place.of_tokens ? "a token" : "a sequence");
        }
    }
    return QR_OK;
}

/* The whole. */

static qr_status create_run(const qr_import *import, const qr_batch *batch, qr_import_run **out) {
    const size_t B = batch->sequences;
    const qr__recognised *found = import->found;
    qr_import_run *run = calloc(1, sizeof *run);
    *out = run;
    if (run == NULL)
        return QR_NO_MEMORY;
    run->import = import;
    run->sequences = B;
    run->starts = calloc(B + 1, sizeof *run->starts);
    run->order = calloc(B + 1, sizeof *run->order);
    run->parts = calloc(B + 1, sizeof *run->parts);
    run->stages = calloc(found->stage_count + 1, sizeof *run->stages);
    run->kept = calloc(found->graph->value_count + 1, sizeof *run->kept);
    if (run->starts == NULL || run->order == NULL || run->parts == NULL || run->stages == NULL ||
        run->kept == NULL)
        return QR_NO_MEMORY;
    for (size_t i = 0; i < found->stage_count; i++)
        if (found->stages[i].value != QR_ONNX_NONE)
            run->kept[found->stages[i].value] = true;
    memcpy(run->starts, batch->starts, (B + 1) * sizeof *run->starts);
    return QR_OK;
}

qr_status qr_import_forward(const qr_import *import, const qr_batch *batch, bool bypass,
                            qr_import_run **out, qr_error *error) {
    const qr__recognised *found = import->found;
    qr_import_run *run;
    *out = NULL;
    qr_status status = create_run(import, batch, &run);
    if (status != QR_OK)
        qr_error_set(error, status, "%s: no memory for a run of it", found->graph->path);
    else
        status = divide(run, error);
    for (size_t i = 0; status == QR_OK && i < run->len; i++)
        status = run_part(run, &run->parts[i], batch, bypass, error);
    for (size_t i = 0; status == QR_OK && i < found->graph->output_count; i++)
        status = gather_output(run, &found->outputs[i], error);
    if (status != QR_OK) {
        qr_import_run_destroy(run);
        return status;
    }
    *out = run;
    return QR_OK;
}

const float *qr_import_output(const qr_import_run *run, qr_output output) {
    return output == QR_OUTPUT_POOLED && run->import->pools_otherwise ? NULL : run->outputs[output];
}

const float *qr_import_stage(const qr_import_run *run, const qr__graph_stage *stage) {
    const qr__recognised *found = run->import->found;
    const size_t C = found->info.hidden;
    const size_t width = stage->kind == QR__STAGE_INTERMEDIATE ? found->info.feed_forward : C;
    const size_t tokens = run->starts[run->sequences];
    float **kept = &run->stages[stage - found->stages];
    if (*kept != NULL || stage->value == QR_ONNX_NONE)
        return *kept;
    float *to = calloc(qr_max(tokens * width, 1), sizeof *to);
    bool cut = to != NULL;
    for (size_t i = 0; cut && i < run->len; i++) {
        const import_part *part = &run->parts[i];
        cut =
            cut_tokens(run, part, qr_onnx_run_value(part->run, stage->value), width, width, 0, to);
    }
    if (cut)
        *kept = to;
    else
        free(to);
    return *kept;
}

void qr_import_run_destroy(qr_import_run *run) {
    if (run == NULL)
        return;
    for (size_t i = 0; i < run->len; i++)
        qr_onnx_run_destroy(run->parts[i].run);
    for (size_t i = 0; i <= QR_OUTPUT_TOKEN_LABELS; i++)
        free(run->outputs[i]);
    for (size_t i = 0; run->stages != NULL && i < run->import->found->stage_count; i++)
        free(run->stages[i]);
    free(run->stages);
    free(run->kept);
    free(run->starts);
    free(run->order);
    free(run->parts);
    free(run);
}

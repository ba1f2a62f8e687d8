/* server/api/oip/oip_answer.c: results become output tensors: in the JSON, flat and row-major, or
 * behind it as bytes. Vectors are finished where they are sent from. */
#include "server/api/oip/oip_infer.h"

#include <stdio.h>

#define LENGTH_FIELD "Inference-Header-Content-Length"
#define ALIGNMENT    8u /* of the first binary tensor within the body, by spaces behind the JSON */

typedef struct answer {
    qr_exchange *x;
    const qr__oip_request *request;
    const qr_pipeline *model;
    size_t rows;    /* in each output; of spans, answers */
    size_t columns; /* of spans: answers of each input */
    size_t width;   /* numbers of a row as the model gives it; of spans 1 */
    float *row;     /* [width] */
    qr_span *spans; /* [rows]; beyond what was found: all zero */
} answer;

/* Values */

static const float *result(const answer *a, size_t row) {
    return a->x->jobs[row].result;
}

/* How many floats stand in a row of it. */
static size_t row_floats(const answer *a, qr__oip_content content) {
    if (content != QR__OIP_EMBEDDING || a->request->dimensions == 0)
        return a->width;
    return a->request->dimensions;
}

/* A row of an output of floats, to [a->width]. */
static void finish_row(const answer *a, qr__oip_content content, size_t row, float *to) {
    if (content == QR__OIP_SPAN_SCORE)
        to[0] = (float)a->spans[row].score;
    else if (content == QR__OIP_EMBEDDING)
        qr_embed_finish(result(a, row), a->width, a->request->dimensions, a->request->normalize,
                        to);
    else if (a->request->raw_scores)
        memcpy(to, result(a, row), a->width * sizeof *to);
    else
        qr_labels_finish(qr_engine_model(qr_pipeline_engine(a->model)), result(a, row), to);
}

static qr_text text_of(const answer *a, qr__oip_content content, size_t row) {
    if (content == QR__OIP_LABEL) {
        const qr_model_info *about = qr_engine_model(qr_pipeline_engine(a->model));
        const float *logits = result(a, row);
        size_t best = 0;
        for (size_t k = 1; k < about->labels; k++)
            if (logits[k] > logits[best])
                best = k;
        return qr_text_of(about->label_names[best]);
    }
    const qr_span *span = &a->spans[row];
    qr_text context = a->request->passages[row / a->columns].context;
    return (qr_text){context.data + span->begin_byte, span->end_byte - span->begin_byte};
}

static size_t integer_of(const answer *a, qr__oip_content content, size_t row) {
    return content == QR__OIP_SPAN_START ? a->spans[row].begin : a->spans[row].end;
}

typedef enum output_form { FORM_FLOATS, FORM_INTEGERS, FORM_TEXTS } output_form;

static output_form form_of(qr__oip_content content) {
    switch (content) {
    case QR__OIP_ANSWER:
    case QR__OIP_LABEL:
        return FORM_TEXTS;
    case QR__OIP_SPAN_START:
    case QR__OIP_SPAN_END:
        return FORM_INTEGERS;
    case QR__OIP_EMBEDDING:
    case QR__OIP_SPAN_SCORE:
    case QR__OIP_LABEL_SCORES:
    case QR__OIP_FIT:
        break;
    }
    return FORM_FLOATS;
}

/* Binary tensors */

static size_t binary_bytes(const answer *a, qr__oip_content content) {
    output_form form = form_of(content);
    size_t bytes = 0;
    if (form == FORM_FLOATS)
        return a->rows * row_floats(a, content) * sizeof(float);
    if (form == FORM_INTEGERS)
        return a->rows * sizeof(int32_t);
    for (size_t i = 0; i < a->rows; i++)
        bytes += sizeof(uint32_t) + text_of(a, content, i).len;
    return bytes;
}

/* Each vector is written where it will be sent from, if floats may stand there. */
static void put_floats(const answer *a, qr__oip_content content) {
    qr_buf *out = &a->x->out;
    size_t bytes = row_floats(a, content) * sizeof(float);
    for (size_t i = 0; i < a->rows; i++) {
        char *to = qr_buf_reserve(out, a->width * sizeof(float));
        if (to == NULL)
            return;
        bool aligned = (uintptr_t)to % _Alignof(float) == 0;
        float *row = aligned ? (float *)(void *)to : a->row;
        finish_row(a, content, i, row);
        if (!aligned)
            memcpy(to, row, bytes);
        out->len += bytes;
    }
}

static void put_binary(const answer *a, qr__oip_content content) {
    qr_buf *out = &a->x->out;
    if (form_of(content) == FORM_FLOATS) {
        put_floats(a, content);
        return;
    }
    for (size_t i = 0; i < a->rows; i++) {
        if (form_of(content) == FORM_INTEGERS) {
            int32_t integer = (int32_t)integer_of(a, content, i);
            qr_buf_append(out, &integer, sizeof integer);
        } else {
            qr_text text = text_of(a, content, i);
            uint32_t len = (uint32_t)text.len;
            qr_buf_append(out, &len, sizeof len);
            qr_buf_text(out, text);
        }
    }
}

/* JSON */

/* A row of floats within a list that goes on: its brackets become the list's comma. */
static void put_json_floats(const answer *a, qr__oip_content content, size_t row) {
    qr_buf *out = &a->x->out;
    size_t at = out->len;
    finish_row(a, content, row, a->row);
    qr_json_floats(out, a->row, row_floats(a, content));
    if (qr_buf_failed(out))
        return;
    out->data[at] = row == 0 ? '[' : ',';
    out->len--;
}

static void put_data(const answer *a, qr__oip_content content) {
    qr_buf *out = &a->x->out;
    output_form form = form_of(content);
    for (size_t i = 0; i < a->rows; i++) {
        if (form == FORM_FLOATS) {
            put_json_floats(a, content, i);
            continue;
        }
        qr_buf_byte(out, i == 0 ? '[' : ',');
        if (form == FORM_INTEGERS)
            qr_buf_u64(out, integer_of(a, content, i));
        else
            qr_json_text(out, text_of(a, content, i));
    }
    qr_buf_byte(out, ']');
}

static void put_shape(const answer *a, qr__oip_content content) {
    qr_buf *out = &a->x->out;
    size_t columns = a->columns > 1 ? a->columns : 0;
    if (qr__oip_width(a->model, content) > 0)
        columns = row_floats(a, content);
    qr_buf_printf(out, "\"shape\":[%zu", a->request->head.inputs_len);
    if (columns > 0)
        qr_buf_printf(out, ",%zu", columns);
    qr_buf_byte(out, ']');
}

static void put_output(const answer *a, const qr__oip_wish *wish) {
    qr_buf *out = &a->x->out;
    qr__oip_content content = wish->output->content;
    qr_buf_printf(out, "{\"name\":\"%s\",\"datatype\":\"%s\",", wish->output->name,
                  qr__oip_datatype(content));
    put_shape(a, content);
    if (wish->binary) {
        qr_buf_printf(out, ",\"parameters\":{\"binary_data_size\":%zu}}", binary_bytes(a, content));
        return;
    }
    qr_buf_literal(out, ",\"data\":");
    put_data(a, content);
    qr_buf_byte(out, '}');
}

static void put_json(const answer *a) {
    const qr__oip_request *request = a->request;
    qr_buf *out = &a->x->out;
    qr_buf_literal(out, "{\"model_name\":");
    qr_json_text(out, qr_text_of(qr_pipeline_name(a->model)));
    qr_buf_literal(out, ",\"model_version\":\"" QR__OIP_VERSION "\",");
    if (request->id.data != NULL) {
        qr_buf_literal(out, "\"id\":");
        qr_json_text(out, request->id);
        qr_buf_byte(out, ',');
    }
    qr_buf_literal(out, "\"outputs\":[");
    for (size_t i = 0; i < request->wishes_len; i++) {
        qr_buf_append(out, ",", i > 0);
        put_output(a, &request->wishes[i]);
    }
    qr_buf_literal(out, "]}");
}

/* Behind the JSON; its length is told in the head. */
static void put_tensors(const answer *a) {
    const qr__oip_request *request = a->request;
    qr_exchange *x = a->x;
    while (!qr_buf_failed(&x->out) && x->out.len % ALIGNMENT != 0)
        qr_buf_byte(&x->out, ' ');
    char length[24];
    snprintf(length, sizeof length, "%zu", x->out.len);
    qr_exchange_note(x, LENGTH_FIELD, length);
    x->content_type = "application/octet-stream";
    size_t bytes = a->width * sizeof(float); /* a row is finished in the room for a whole one */
    for (size_t i = 0; i < request->wishes_len; i++)
        if (request->wishes[i].binary)
            bytes += binary_bytes(a, request->wishes[i].output->content);
    (void)qr_buf_reserve(&x->out, bytes);
    for (size_t i = 0; i < request->wishes_len; i++)
        if (request->wishes[i].binary)
            put_binary(a, request->wishes[i].output->content);
}

/* Best first, and zeros where there are fewer than were asked for. */
static qr_status find_spans(answer *a) {
    const qr__oip_request *request = a->request;
    a->columns = request->span.options.top_k;
    a->rows = request->head.inputs_len * a->columns;
    a->spans = qr_arena_array(&a->x->arena, a->rows, sizeof *a->spans);
    qr_status status = a->spans == NULL ? QR_NO_MEMORY : QR_OK;
    for (size_t i = 0; status == QR_OK && i < request->head.inputs_len; i++) {
        const qr__span_item *item = &request->passages[i];
        const float **logits = qr__span_logits(a->x, item);
        size_t count;
        status = logits == NULL
                     ? QR_NO_MEMORY
                     : qr_span_decode(&item->windows, logits, item->context, &request->span.options,
                                      a->spans + i * a->columns, &count);
    }
    return status;
}

void qr__oip_answer(const qr_api *api, qr_exchange *x) {
    const qr__oip_request *request = x->decoded;
    answer a = {.x = x,
                .request = request,
                .model = x->model->pipeline,
                .rows = request->head.inputs_len,
                .width = 1};
    bool binary = false;
    (void)api;
    if (request->passages == NULL)
        a.width = qr_pipeline_output_floats(a.model, 1);
    else
        x->status = find_spans(&a);
    a.row = qr_arena_array(&x->arena, a.width, sizeof *a.row);
    if (a.row == NULL)
        x->status = QR_NO_MEMORY;
    if (x->status != QR_OK)
        return;
    put_json(&a);
    for (size_t i = 0; i < request->wishes_len; i++)
        binary |= request->wishes[i].binary;
    if (binary)
        put_tensors(&a);
}

/* server/api/vectors.c: floats to types of fewer bits, and to text. */
#include "server/api/vectors.h"

#include <math.h>
#include <stdio.h>

#include "server/api/base64.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "raw vectors are little-endian");

static const char *const names[] = {"f32", "f16", "int8", "uint8", "binary", "ubinary"};

static qr__vector_type type_of(const qr__vector_form *form) {
    return (qr__vector_type)form->type;
}

static bool needs_ranges(const qr__vector_form *form) {
    return form->type == QR__VECTOR_INT8 || form->type == QR__VECTOR_UINT8;
}

static size_t length_of(const qr_exchange *x) {
    return qr_engine_model(qr_pipeline_engine(x->model->pipeline))->embedding;
}

qr_status qr__vectors_check(qr__call *call, const qr__vector_form *form,
                            const qr__vector_places *places) {
    static const qr__vector_places own = {{.field = "dimensions"}, {.field = "embedding_dtype"}};
    const qr_exchange *x = call->exchange;
    if (places == NULL)
        places = &own;
    if (form->dimensions > length_of(x))
        return qr__call_must_within(call, &places->dimensions, QR__WHOLE_NUMBER, 1, length_of(x));
    if (needs_ranges(form) && qr_pipeline_samples(x->model->pipeline, NULL) == 0)
        return qr__call_must(call, &places->type,
                             "another one: int8 needs the option --int8-vectors");
    return QR_OK;
}

bool qr__vector_ranges(const qr_pipeline *model, size_t dimensions, bool normalize, qr_arena *arena,
                       float **least, float **greatest) {
    const float *samples;
    size_t whole = qr_engine_model(qr_pipeline_engine(model))->embedding;
    size_t len = qr_pipeline_samples(model, &samples);
    float *low = qr_arena_array(arena, dimensions, sizeof *low);
    float *high = qr_arena_array(arena, dimensions, sizeof *high);
    float *sample = qr_arena_array(arena, whole, sizeof *sample);
    if (low == NULL || high == NULL || sample == NULL)
        return false;
    for (size_t s = 0; s < len; s++) {
        qr_embed_finish(samples + s * whole, whole, dimensions, normalize, sample);
        for (size_t i = 0; i < dimensions; i++) {
            low[i] = s == 0 || sample[i] < low[i] ? sample[i] : low[i];
            high[i] = s == 0 || sample[i] > high[i] ? sample[i] : high[i];
        }
    }
    *least = low;
    *greatest = high;
    return true;
}

/* Step 0 becomes 1, as sentence-transformers has it. */
static bool find_steps(qr__vectors *v, qr_arena *arena) {
    float *least, *step; /* at first the greatest */
    if (!qr__vector_ranges(v->exchange->model->pipeline, v->dimensions, v->form->normalize, arena,
                           &least, &step))
        return false;
    for (size_t i = 0; i < v->dimensions; i++) {
        step[i] = (step[i] - least[i]) / 255;
        if (!(step[i] > 0))
            step[i] = 1;
    }
    v->least = least;
    v->step = step;
    return true;
}

bool qr__vectors_init(qr__vectors *v, qr_exchange *x, const qr__vector_form *form) {
    size_t whole = length_of(x);
    *v = (qr__vectors){.exchange = x,
                       .form = form,
                       .len = x->jobs_len,
                       .dimensions = form->dimensions == 0 ? whole : form->dimensions};
    v->floats = qr_arena_array(&x->arena, whole, sizeof *v->floats);
    v->bytes = qr_arena_alloc(&x->arena, qr__vector_bytes(type_of(form), v->dimensions));
    if (v->floats == NULL || v->bytes == NULL || (needs_ranges(form) && !find_steps(v, &x->arena)))
        x->status = QR_NO_MEMORY;
    return x->status == QR_OK;
}

size_t qr__vector_bytes(qr__vector_type type, size_t dimensions) {
    switch (type) {
    case QR__VECTOR_F32:
        return 4 * dimensions;
    case QR__VECTOR_F16:
        return 2 * dimensions;
    case QR__VECTOR_INT8:
    case QR__VECTOR_UINT8:
        return dimensions;
    case QR__VECTOR_BINARY:
    case QR__VECTOR_UBINARY:
        break;
    }
    return (dimensions + 7) / 8;
}

/* IEEE 754 binary16, rounded to nearest, ties to even; above its range: infinity. */
static uint16_t half_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7FFFFFFF;
    if (magnitude >= 0x7F800000) /* infinity, NaN */
        return (uint16_t)(sign | 0x7C00 | (magnitude > 0x7F800000 ? 0x200 : 0));
    if (magnitude < 0x38800000) { /* below the least normal half: a multiple of 2^-24 */
        float scaled = fabsf(value) * 16777216.0f;
        return (uint16_t)(sign | (uint32_t)lrintf(scaled));
    }
    uint32_t rounded = magnitude + 0xFFF + (magnitude >> 13 & 1);
    uint32_t half = (rounded - 0x38000000) >> 13;
    return (uint16_t)(sign | (half >= 0x7C00 ? 0x7C00 : half));
}

static uint8_t quantized(float value, float least, float step) {
    float q = floorf((value - least) / step);
    return (uint8_t)(q < 0 ? 0 : q > 255 ? 255 : q);
}

static void pack_bits(const float *vector, size_t dimensions, uint8_t flip, uint8_t *out) {
    for (size_t i = 0; i < dimensions; i += 8) {
        unsigned byte = 0;
        for (size_t b = 0; b < 8 && i + b < dimensions; b++)
            byte |= vector[i + b] > 0 ? 0x80u >> b : 0;
        out[i / 8] = (uint8_t)(byte ^ flip);
    }
}

void qr__vector_write(qr__vector_type type, const float *vector, size_t dimensions,
                      const float *least, const float *step, uint8_t *out) {
    switch (type) {
    case QR__VECTOR_F32:
        memcpy(out, vector, dimensions * sizeof *vector);
        return;
    case QR__VECTOR_F16:
        for (size_t i = 0; i < dimensions; i++) {
            uint16_t half = half_of(vector[i]);
            memcpy(out + 2 * i, &half, sizeof half);
        }
        return;
    case QR__VECTOR_INT8:
    case QR__VECTOR_UINT8:
        for (size_t i = 0; i < dimensions; i++)
            out[i] = (uint8_t)(quantized(vector[i], least[i], step[i]) ^
                               (type == QR__VECTOR_INT8 ? 0x80u : 0));
        return;
    case QR__VECTOR_BINARY:
    case QR__VECTOR_UBINARY:
        pack_bits(vector, dimensions, type == QR__VECTOR_BINARY ? 0x80 : 0, out);
        return;
    }
}

static float half_to_float(uint16_t half) {
    float value = (half & 0x7C00) == 0
                      ? ldexpf((float)(half & 0x3FF), -24)
                      : ldexpf((float)((half & 0x3FF) | 0x400), (half >> 10 & 31) - 25);
    return (half & 0x8000) != 0 ? -value : value;
}

/* A list of what the bytes hold. */
static void put_list(const qr__vectors *v, size_t bytes, qr_buf *out) {
    bool is_signed = v->form->type == QR__VECTOR_INT8 || v->form->type == QR__VECTOR_BINARY;
    for (size_t i = 0; i < bytes; i++) {
        unsigned byte = v->bytes[i];
        qr_buf_byte(out, i == 0 ? '[' : ',');
        if (is_signed && byte >= 128)
            qr_buf_byte(out, '-');
        qr_buf_u64(out, is_signed && byte >= 128 ? 256 - byte : byte);
    }
    qr_buf_byte(out, ']');
}

/* Floats that a half can hold, written as such. */
static void round_to_half(qr__vectors *v) {
    for (size_t i = 0; i < v->dimensions; i++)
        v->floats[i] = half_to_float(half_of(v->floats[i]));
}

void qr__vectors_put(qr__vectors *v, size_t index, qr__vectors_as as, qr_buf *out) {
    const qr__vector_form *form = v->form;
    const float *pooled = v->exchange->jobs[index].result;
    size_t bytes = qr__vector_bytes(type_of(form), v->dimensions);
    qr_embed_finish(pooled, length_of(v->exchange), v->dimensions, form->normalize, v->floats);
    if (as == QR__VECTORS_JSON && form->type <= QR__VECTOR_F16) {
        if (form->type == QR__VECTOR_F16)
            round_to_half(v);
        qr_json_floats(out, v->floats, v->dimensions);
        return;
    }
    qr__vector_write(type_of(form), v->floats, v->dimensions, v->least, v->step, v->bytes);
    if (as == QR__VECTORS_JSON) {
        put_list(v, bytes, out);
    } else if (as == QR__VECTORS_BASE64) {
        qr_buf_byte(out, '"');
        qr__base64_put(out, v->bytes, bytes);
        qr_buf_byte(out, '"');
    } else {
        qr_buf_append(out, v->bytes, bytes);
    }
}

void qr__vectors_put_list(qr__vectors *v, qr__vectors_as as, qr_buf *out) {
    qr_buf_byte(out, '[');
    for (size_t i = 0; i < v->len; i++) {
        if (i > 0)
            qr_buf_byte(out, ',');
        qr__vectors_put(v, i, as, out);
    }
    qr_buf_byte(out, ']');
}

void qr__vectors_answer(qr__vectors *v, qr_exchange *x) {
    char shape[32];
    size_t numbers = v->form->type >= QR__VECTOR_BINARY ? (v->dimensions + 7) / 8 : v->dimensions;
    snprintf(shape, sizeof shape, "%zu,%zu", v->len, numbers);
    qr_exchange_note(x, "X-Embedding-Shape", shape);
    qr_exchange_note(x, "X-Embedding-Dtype", names[v->form->type]);
    x->content_type = "application/octet-stream";
    for (size_t i = 0; i < v->len; i++)
        qr__vectors_put(v, i, QR__VECTORS_BYTES, &x->out);
}

/* server/api/oip/oip_signature.c: the tensors of each kind of model. */
#include "server/api/oip/oip_signature.h"

#define ID_INPUTS                                                                                  \
    {.name = QR__OIP_IDS_NAME, .role = QR__OIP_IDS, .optional = true},                             \
        {.name = QR__OIP_MASK_NAME, .role = QR__OIP_MASK, .optional = true}, {                     \
        .name = QR__OIP_TYPES_NAME, .role = QR__OIP_TYPES, .optional = true                        \
    }

/* Parts of errors' sentences. */
#define EACH_ONCE "one of the model's tensors, each at most once: "
#define ID_NAMES  "`" QR__OIP_IDS_NAME "`, `" QR__OIP_MASK_NAME "`, `" QR__OIP_TYPES_NAME "`"
#define OR_IDS                                                                                     \
    "or `" QR__OIP_IDS_NAME "` with or without `" QR__OIP_MASK_NAME "` and `" QR__OIP_TYPES_NAME "`"

static const qr__oip_input text_inputs[] = {
    {.name = "text", .role = QR__OIP_FIRST, .optional = true},
    ID_INPUTS,
};

static const qr__oip_output embedding_outputs[] = {{"embedding", QR__OIP_EMBEDDING}};

static const qr__oip_input span_inputs[] = {
    {.name = "question", .role = QR__OIP_FIRST},
    {.name = "context", .role = QR__OIP_SECOND},
};

static const qr__oip_output span_outputs[] = {
    {"answer", QR__OIP_ANSWER},
    {"score", QR__OIP_SPAN_SCORE},
    {"start", QR__OIP_SPAN_START},
    {"end", QR__OIP_SPAN_END},
};

static const qr__oip_input label_inputs[] = {
    {.name = "text", .role = QR__OIP_FIRST, .optional = true},
    {.name = "text_pair", .role = QR__OIP_SECOND, .optional = true},
    ID_INPUTS,
};

static const qr__oip_output label_outputs[] = {
    {"scores", QR__OIP_LABEL_SCORES},
    {"label", QR__OIP_LABEL},
};

static const qr__oip_input fit_inputs[] = {
    {.name = "query", .role = QR__OIP_FIRST, .optional = true},
    {.name = "text", .alias = "document", .role = QR__OIP_SECOND, .optional = true},
    ID_INPUTS,
};

static const qr__oip_output fit_outputs[] = {{"score", QR__OIP_FIT}};

#define TABLES(name)                                                                               \
    .inputs = name##_inputs, .inputs_len = QR__LENGTH(name##_inputs), .outputs = name##_outputs,   \
    .outputs_len = QR__LENGTH(name##_outputs)

static const qr__oip_signature embedding = {
    .inputs = text_inputs,
    .inputs_len = QR__LENGTH(text_inputs),
    .outputs = embedding_outputs,
    .outputs_len = QR__LENGTH(embedding_outputs),
    .known = EACH_ONCE "`text`, " ID_NAMES,
    .needs = "`text`, " OR_IDS,
    .answers = "`embedding`, once",
};

static const qr__oip_signature span = {
    TABLES(span),
    .pairs = true,
    .known = EACH_ONCE "`question`, `context`",
    .needs = "`question` and `context`",
    .answers = "`answer`, `score`, `start` or `end`, each once",
};

static const qr__oip_signature classifier = {
    TABLES(label),
    .known = EACH_ONCE "`text`, `text_pair`, " ID_NAMES,
    .needs = "`text` with or without `text_pair`, " OR_IDS,
    .answers = "`scores` or `label`, each once",
};

static const qr__oip_signature reranker = {
    TABLES(fit),
    .pairs = true,
    .known = EACH_ONCE "`query`, `text` (or `document`), " ID_NAMES,
    .needs = "`query` and `text`, " OR_IDS,
    .answers = "`score`, once",
};

const qr__oip_signature *qr__oip_signature_of(qr_kind kind) {
    static const qr__oip_signature *const by_kind[] = {
        [QR_KIND_EMBEDDING] = &embedding,
        [QR_KIND_SPAN] = &span,
        [QR_KIND_CLASSIFIER] = &classifier,
        [QR_KIND_RERANKER] = &reranker,
    };
    return (size_t)kind < QR__LENGTH(by_kind) ? by_kind[kind] : NULL;
}

const char *qr__oip_datatype(qr__oip_content content) {
    switch (content) {
    case QR__OIP_ANSWER:
    case QR__OIP_LABEL:
        return "BYTES";
    case QR__OIP_SPAN_START:
    case QR__OIP_SPAN_END:
        return "INT32";
    case QR__OIP_EMBEDDING:
    case QR__OIP_SPAN_SCORE:
    case QR__OIP_LABEL_SCORES:
    case QR__OIP_FIT:
        break;
    }
    return "FP32";
}

/* What a sequence yields does not depend on its length where there is one vector of it. */
size_t qr__oip_width(const qr_pipeline *model, qr__oip_content content) {
    bool wide = content == QR__OIP_EMBEDDING || content == QR__OIP_LABEL_SCORES;
    return wide ? qr_pipeline_output_floats(model, 1) : 0;
}

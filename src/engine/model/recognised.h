/* engine/model/recognised.h: what was found in an ONNX graph. Within the engine.
 *
 *     const qr__recognised *found = qr_import_recognised(import);
 *     for (size_t i = 0; i < found->graph->output_count; i++)
 *         if (found->outputs[i].kind == QR__GRAPH_HIDDEN) ...
 */
#ifndef QR_ENGINE_MODEL_RECOGNISED_H
#define QR_ENGINE_MODEL_RECOGNISED_H

#include "engine/model/model.h"
#include "onnx/onnx.h"

/** What a graph's output is, of what the engine gives. */
typedef enum qr__graph_output_kind {
    QR__GRAPH_HIDDEN,       /* [B][S][C] last hidden states */
    QR__GRAPH_POOLED,       /* [B][embedding] as info's pooling says, normalised if it says so */
    QR__GRAPH_SPAN_START,   /* [B][S] */
    QR__GRAPH_SPAN_END,     /* [B][S] */
    QR__GRAPH_LABELS,       /* [B][K] logits */
    QR__GRAPH_TOKEN_LABELS, /* [B][S][K] logits */
    QR__GRAPH_LEFT_OUT      /* recognised, but nothing that querent serves: BERT's pooler, a layer's
                               states */
} qr__graph_output_kind;

typedef struct qr__graph_output {
    size_t value; /* of the graph */
    qr__graph_output_kind kind;
} qr__graph_output;

/** What a graph's input is. */
typedef enum qr__graph_input_kind {
    QR__GRAPH_IDS,
    QR__GRAPH_MASK, /* 1: a token, 0: padding */
    QR__GRAPH_TYPES,
    QR__GRAPH_POSITIONS
} qr__graph_input_kind;

typedef struct qr__graph_input {
    size_t value;
    qr__graph_input_kind kind;
} qr__graph_input;

/** A place of the forward pass whose numbers a value of the graph holds, in the order of the pass:
 * where a proof fails, the first stage that differs is named. */
typedef enum qr__stage_kind {
    QR__STAGE_EMBEDDINGS, /* [B][S][C] behind the layer norm, and the projection */
    QR__STAGE_QUERY,      /* [B][S][C] with bias, not scaled */
    QR__STAGE_KEY,
    QR__STAGE_VALUE,
    QR__STAGE_ATTENDED,       /* [B][S][C] heads' mixtures of values, side by side */
    QR__STAGE_ATTENTION_NORM, /* [B][S][C] */
    QR__STAGE_INTERMEDIATE,   /* [B][S][F] behind the activation */
    QR__STAGE_OUTPUT_NORM     /* [B][S][C]: the layer's states */
} qr__stage_kind;

typedef struct qr__graph_stage {
    qr__stage_kind kind;
    size_t layer; /* 0 for EMBEDDINGS */
    size_t value; /* of the graph; its numbers in the order of [B][S][channels], whatever its shape;
                     QR_ONNX_NONE: no value of the graph holds just this */
} qr__graph_stage;

/** One fused step and the nodes that it stands for. */
typedef enum qr__block_kind {
    QR__BLOCK_EMBEDDINGS,
    QR__BLOCK_MASK, /* makes of the attention mask what attention adds */
    QR__BLOCK_QKV,
    QR__BLOCK_ATTENTION,
    QR__BLOCK_ATTENTION_OUTPUT, /* with residual and layer norm */
    QR__BLOCK_UP,               /* with activation */
    QR__BLOCK_DOWN,             /* with residual and layer norm */
    QR__BLOCK_HEAD,
    QR__BLOCK_POOLING,
    QR__BLOCK_SHAPES,   /* only computes shapes */
    QR__BLOCK_CONSTANT, /* folded */
    QR__BLOCK_LEFT_OUT
} qr__block_kind;

typedef struct qr__node_block { /* of each node of the graph */
    qr__block_kind kind;
    uint32_t layer;
} qr__node_block;

typedef struct qr__recognised {
    qr_onnx_graph *graph; /* owned */
    qr_model_info info;   /* sizes, activation, eps, head, K, pooling, normalize, dense as the graph
                             has them; label_names NULL, architecture "BertModel" and its kin */
    bool pools; /* the graph has a pooled output: info.pooling, .dense, .normalize are its own */
    qr_pooler_activation pooler_activation;
    bool quantized;  /* int8 weights with quantized activations: the proof bypasses these */
    bool half;       /* f16 weights or activations */
    char style[160]; /* "pytorch 2.15.0, separate Q K V, attention in pieces, ..." */
    qr__graph_input inputs[4];
    size_t input_count;
    qr__graph_output *outputs; /* [graph->output_count] */
    qr__graph_stage *stages;
    size_t stage_count;
    qr__node_block *blocks;           /* [graph->node_count] */
    size_t steps;                     /* fused ones */
    size_t fixed_batch, fixed_tokens; /* sizes that the graph was exported for; 0: any */
    struct qr__weight *weights;       /* private */
    size_t weight_count;
} qr__recognised;

#endif

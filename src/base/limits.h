/* base/limits.h: every maximum in one place, so that docs/LIMITS.md and the memory bound can be
 * read off it. Options may lower a default, never raise it above the hard limit beside it. */
#ifndef QR_BASE_LIMITS_H
#define QR_BASE_LIMITS_H

/* Model files. */
#define QR_LIMIT_JSON_FILE_BYTES      (64u << 20) /* tokenizer.json of a large vocabulary */
#define QR_LIMIT_VOCAB_FILE_BYTES     (32u << 20) /* vocab.txt */
#define QR_LIMIT_WEIGHTS_HEADER_BYTES (1u << 20)  /* safetensors' JSON header */
#define QR_LIMIT_WEIGHTS_FILE_BYTES   (16ull << 30)
#define QR_LIMIT_VOCAB                1000000u
#define QR_LIMIT_LAYERS               128u
#define QR_LIMIT_HIDDEN               8192u
#define QR_LIMIT_FEED_FORWARD         32768u
#define QR_LIMIT_POSITIONS            8192u
#define QR_LIMIT_LABELS               4096u
#define QR_LIMIT_DENSES               8u /* Dense modules behind the pooling */
#define QR_LIMIT_PROMPTS              256u
#define QR_LIMIT_PROMPT_BYTES         65536u
#define QR_LIMIT_PROBE_TOKENS         1000u /* of built-in texts that the gate runs at once */
#define QR_LIMIT_MODELS               16u
#define QR_LIMIT_SAVED_PLANS          32u  /* files in --cache-dir: every model, of two versions */
#define QR_LIMIT_SAVED_PROOFS         256u /* files of a few bytes */

/* ONNX files. */
#define QR_LIMIT_ONNX_FILE_BYTES ((2u << 30) - 1) /* as protobuf's; weights may stand beside it */
#define QR_LIMIT_ONNX_UNPACK_BYTES                                                                 \
    (512u << 20)                      /* for the structs, beside 4 times the file's size */
#define QR_LIMIT_ONNX_DEPTH       16u /* messages in messages */
#define QR_LIMIT_ONNX_NODES       (1u << 18)
#define QR_LIMIT_ONNX_RUN_NODES   32768u     /* that are not constants; exports have 60 a layer */
#define QR_LIMIT_ONNX_VALUES      (1u << 20) /* names of values and tensors; attributes likewise */
#define QR_LIMIT_ONNX_NUMBERS     (1u << 31) /* of one tensor */
#define QR_LIMIT_ONNX_RUN_NUMBERS ((size_t)1 << 30)   /* at one time, of a run of the graph */
#define QR_LIMIT_ONNX_RUN_STEPS   ((uint64_t)1 << 42) /* of one run: op.h has the prices */
#define QR_LIMIT_ONNX_FILES       1024u               /* that one model keeps tensors in */

/* Requests. */
#define QR_LIMIT_BODY_BYTES     (64u << 20) /* hard limit of --max-body-bytes */
#define QR_LIMIT_BODY_PIECES    65536u      /* chunks of a body, or parts of them as they come */
#define QR_LIMIT_JSON_DEPTH     32u
#define QR_LIMIT_JSON_VALUES    (2u << 20) /* in one body: 2048 inputs of 512 ids, twice */
#define QR_LIMIT_INPUTS         2048u      /* of one request, as OpenAI's clients send */
#define QR_LIMIT_QUEUE_ITEMS    65536u     /* hard limit of --queue-items */
#define QR_LIMIT_URI_BYTES      1024u
#define QR_LIMIT_MODEL_NAME     128u         /* bytes */
#define QR_LIMIT_HEADER_FIELDS  100u         /* of one request */
#define QR_LIMIT_EXCHANGE_BYTES (256u << 20) /* arena of one request: jobs, ids, results */
#define QR_LIMIT_TEXT_TOKENS    (1u << 21)   /* tokens one text may become before truncation */
#define QR_LIMIT_TOKENIZED      262144u      /* tokens that a request has listed or decoded */
#define QR_LIMIT_WINDOWS        4096u        /* span windows of one passage */
#define QR_LIMIT_WINDOW_TOKENS  (1u << 20)   /* of all windows: as of 2048 inputs of 512 */
#define QR_LIMIT_TOP_K          1024u        /* answers asked for */
#define QR_LIMIT_IGNORED        1024u        /* labels that a request leaves out */
#define QR_LIMIT_ANSWERS        65536u       /* answers of one request of many passages */
#define QR_LIMIT_ID_BYTES       256u         /* a request's own id, which is sent back */
#define QR_LIMIT_BUDGET_MS      600000u
#define QR_LIMIT_RESPONSE_BYTES (256u << 20)
#define QR_LIMIT_LINGERING      64u /* connections of a listener behind their last answer */

/* Options. */
#define QR_LIMIT_CONFIG_FILE_BYTES (256u << 10) /* the YAML file */
#define QR_LIMIT_CONFIG_BYTES      (4u << 20)   /* all options, from all sources */

#define QR_LIMIT_NETWORKS          32u /* of trusted proxies */
#define QR_LIMIT_KEYS              64u /* in --api-key-file */
#define QR_LIMIT_KEY_BYTES         256u
#define QR_LIMIT_ORIGINS           32u /* of --cors-allow-origin */

/* The machine. */
#define QR_LIMIT_THREADS 256 /* of one process */

#endif

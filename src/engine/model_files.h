/* engine/model_files.h: which files a model's path stands for; a part of model_info.h.
 *
 *     qr_model_files files;
 *     status = qr_model_files_find("models/minilm/onnx/model.onnx", &files, &error);
 *     qr_tokenizer_load(files.tokenizer_dir, &tokenizer, &error);     // "models/minilm"
 *
 * A path is a directory, or a file whose name ends in ".onnx". Of a directory the first of these is
 * read:
 *
 *     model.safetensors
 *     model.onnx
 *     onnx/model.onnx
 *     the only other .onnx in it or in its folder onnx/
 *
 * What belongs to a graph is looked for beside it, then in the parent folder.
 */
#ifndef QR_ENGINE_MODEL_FILES_H
#define QR_ENGINE_MODEL_FILES_H

#include "base/base.h"

typedef struct qr_model_files {
    char onnx[QR_PATH_BYTES];          /* the graph; "": model.safetensors of config_dir is read */
    char config_dir[QR_PATH_BYTES];    /* where config.json stands, or would */
    char sentence_dir[QR_PATH_BYTES];  /* likewise modules.json and its kin */
    char tokenizer_dir[QR_PATH_BYTES]; /* likewise tokenizer.json or vocab.txt */
    bool onnx_unread;                  /* there is a graph too, left aside for model.safetensors */
} qr_model_files;

/** Whether the path names an ONNX file: it ends in ".onnx" and is no directory. */
bool qr_model_path_is_onnx(const char *path);

/** Looks at names only: that there is a model is not said. QR_BAD_MODEL: the path is neither a
 * directory nor ends in .onnx; of several .onnx none is the first to read (the message has their
 * names); or a path is too long. QR_NO_MEMORY. */
QR_MUST_USE qr_status qr_model_files_find(const char *path, qr_model_files *out, qr_error *error);

/** Bytes of the graph's file and of the files beside it that begin with its name, where weights may
 * stand ("model.onnx.data", "model.onnx_data"); 0: there is no graph. */
size_t qr_model_files_onnx_bytes(const qr_model_files *files);

#endif

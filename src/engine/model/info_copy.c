/* engine/model/info_copy.c: the one part of a model's facts that has memory of its own. */
#include "engine/model/config_json.h"

#include <stdlib.h>

bool qr__model_info_copy(const qr_model_info *from, qr_model_info *to) {
    *to = *from;
    if (from->label_names == NULL)
        return true;
    to->label_names = calloc(from->labels, sizeof *to->label_names);
    bool copied = to->label_names != NULL;
    for (size_t i = 0; copied && i < from->labels; i++)
        copied = (to->label_names[i] = strdup(from->label_names[i])) != NULL;
    if (!copied)
        qr__model_info_deinit(to);
    return copied;
}

void qr__model_info_deinit(qr_model_info *info) {
    for (size_t i = 0; info->label_names != NULL && i < info->labels; i++)
        free(info->label_names[i]);
    free(info->label_names);
    info->label_names = NULL;
    info->labels = 0;
}

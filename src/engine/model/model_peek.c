/* model/model_peek.c: what a model is, from its small files alone; the weights stay unread. */
#include "engine/model/config_json.h"

qr_status qr_model_peek(const char *dir, qr_model_info *out, qr_error *error) {
    qr__family family;
    qr_status status = qr__config_read(dir, out, &family, error);
    if (status == QR_OK)
        status = qr__sentence_read(dir, out, error);
    return status;
}

void qr_model_info_deinit(qr_model_info *info) { qr__model_info_deinit(info); }

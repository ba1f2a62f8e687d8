/* tokenizer/template.c: what the post-processor puts around a text or a pair. */
#include "tokenizer/tokenizer_internal.h"

bool qr__template_put(qr__template *layout, int32_t what, uint8_t type) {
    if (layout->len == QR__TEMPLATE_PIECES)
        return false;
    layout->pieces[layout->len].what = what;
    layout->pieces[layout->len++].type = type;
    layout->specials += what >= 0;
    return true;
}

static void put_special(qr__template *layout, int32_t id, uint8_t type) {
    if (id != QR__NO_ID)
        qr__template_put(layout, id, type);
}

void qr__template_bert(qr_tokenizer *tokenizer, int32_t cls, int32_t sep) {
    qr__template *layouts[] = {&tokenizer->single, &tokenizer->pair};
    for (size_t i = 0; i < 2; i++) {
        *layouts[i] = (qr__template){0};
        put_special(layouts[i], cls, 0);
        qr__template_put(layouts[i], QR__PIECE_FIRST, 0);
        put_special(layouts[i], sep, 0);
    }
    qr__template_put(&tokenizer->pair, QR__PIECE_SECOND, 1);
    put_special(&tokenizer->pair, sep, 1);
}

int32_t qr__template_special(const qr__template *layout, bool behind_text) {
    bool passed = false;
    for (size_t i = 0; i < layout->len; i++) {
        int32_t what = layout->pieces[i].what;
        if (what == QR__PIECE_FIRST)
            passed = true;
        else if (passed == behind_text)
            return what;
    }
    return QR__NO_ID;
}

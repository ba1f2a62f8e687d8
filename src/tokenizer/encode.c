/* tokenizer/encode.c: one text or a pair into an encoding: the post-processor's template, and
 * truncation. */
#include "tokenizer/tokenizer_internal.h"

/* How many tokens of each text stay. */
typedef struct plan {
    size_t first, second;
} plan;

/* The longest of both gives first, then both alike; as the package counts it. */
static plan longest_first(size_t first, size_t second, size_t room) {
    bool swapped = first > second;
    size_t shorter = qr_min(first, second), longer;
    if (shorter > room)
        longer = shorter;
    else
        longer = qr_max(shorter, room - shorter);
    if (shorter + longer > room) {
        shorter = room / 2;
        longer = shorter + room % 2;
    }
    plan kept = swapped ? (plan){longer, shorter} : (plan){shorter, longer};
    return (plan){qr_min(kept.first, first), qr_min(kept.second, second)};
}

/* Fits two texts into `room` tokens. QR_TOO_LONG: the text that may be cut would have to go
 * entirely. */
static qr_status plan_truncation(const qr_encode_options *options, bool pair, size_t room,
                                 plan *kept) {
    size_t total = kept->first + kept->second;
    if (total <= room)
        return QR_OK;
    if (room == 0) {
        *kept = (plan){0, 0};
        return QR_OK;
    }
    if (options->truncation == QR_TRUNCATE_LONGEST_FIRST) {
        *kept = pair ? longest_first(kept->first, kept->second, room) : (plan){room, 0};
        return QR_OK;
    }
    bool cut_second = options->truncation == QR_TRUNCATE_ONLY_SECOND;
    size_t *cut = cut_second ? &kept->second : &kept->first;
    size_t excess = total - room;
    if (*cut <= excess)
        return QR_TOO_LONG;
    *cut -= excess;
    return QR_OK;
}

/* After how many tokens of a text the rest cannot matter, so that a huge text costs no more than
 * its part.
 *
 * Of a pair cut to the longest, each length matters only up to room + 1: with one text within the
 * room, the other's being longer is all that is used of it, and with both beyond it they share the
 * room. But of an odd room the longer one gets the odd token, so there it must be known which is
 * longer: the first is counted to its end, the second as far as the first or the room reach. */
static size_t enough_of_first(const qr_encode_options *options, bool pair, size_t room) {
    if (options->truncation == QR_TRUNCATE_ONLY_SECOND)
        return room; /* more leave no room for the second */
    if (options->truncate_left)
        return SIZE_MAX;
    bool order_matters = pair && options->truncation == QR_TRUNCATE_LONGEST_FIRST && room % 2 != 0;
    return order_matters ? SIZE_MAX : room;
}

/* As enough_of_first, now that the first text's length is known. */
static size_t enough_of_second(const qr_encode_options *options, size_t room, size_t first) {
    switch (options->truncation) {
    case QR_TRUNCATE_ONLY_FIRST:
        return room; /* more leave no room for the first */
    case QR_TRUNCATE_ONLY_SECOND:
        return options->truncate_left ? SIZE_MAX : room - qr_min(first, room);
    case QR_TRUNCATE_LONGEST_FIRST:
        break;
    }
    if (options->truncate_left)
        return SIZE_MAX;
    return room % 2 != 0 ? qr_max(first, room) : room;
}

/* Where a text's tokens lie in the encoding. */
typedef struct range {
    size_t from, to;
} range;

/* Takes out what is too much, from the side that options say. */
static void cut(qr_encoding *out, range where, size_t kept, bool left) {
    size_t excess = where.to - where.from - kept;
    size_t from = left ? where.from : where.to - excess;
    qr__encoding_drop(out, from, from + excess);
}

/* What is encoded: a text, or the first text of a pair in either form, and the second. */
typedef struct sources {
    qr_text text;
    const qr_first_text *first; /* NULL: `text` */
    const qr_text *pair;        /* NULL: none */
} sources;

/* Tokens that there is room for beside the specials. TOO_LONG: not even these fit. */
static qr_status room_of(const qr__template *layout, const qr_encode_options *options,
                         size_t *room) {
    size_t specials = options->special ? layout->specials : 0;
    *room = SIZE_MAX;
    if (options->max_tokens == 0)
        return QR_OK;
    if (options->max_tokens < specials)
        return QR_TOO_LONG;
    *room = options->max_tokens - specials;
    return QR_OK;
}

static qr_status put_first(const qr_tokenizer *tokenizer, const sources *from,
                           const qr_encode_options *options, size_t room, qr_encoding *out) {
    if (from->first != NULL)
        return qr__encoding_copy(out, &from->first->kept, 0, from->first->kept.len);
    return qr__encode_text(tokenizer, from->text,
                           enough_of_first(options, from->pair != NULL, room), out);
}

/* Lays out specials and texts; where[0] and where[1] say where the texts came to lie, *all how long
 * they are. */
static qr_status lay_out(const qr_tokenizer *tokenizer, const qr__template *layout,
                         const sources *given, const qr_encode_options *options, size_t room,
                         qr_encoding *out, range where[2], plan *all) {
    qr_status status = QR_OK;
    for (size_t i = 0; i < layout->len && status == QR_OK; i++) {
        int32_t what = layout->pieces[i].what;
        size_t from = out->len;
        if (what == QR__PIECE_FIRST) {
            status = put_first(tokenizer, given, options, room, out);
            where[0] = (range){from, out->len};
            all->first = given->first != NULL ? given->first->len : out->len - from;
        } else if (what == QR__PIECE_SECOND) {
            status = qr__encode_text(tokenizer, *given->pair,
                                     enough_of_second(options, room, all->first), out);
            where[1] = (range){from, out->len};
            all->second = out->len - from;
        } else if (options->special) {
            status = qr__encoding_fit(out, 1);
            if (status == QR_OK)
                qr__encoding_push(out, what, 0, 0, QR_NO_WORD);
        }
        qr__encoding_mark(out, from, layout->pieces[i].type, what >= 0);
    }
    return status;
}

static qr_status encode(const qr_tokenizer *tokenizer, const sources *given,
                        const qr_encode_options *options, qr_encoding *out) {
    const qr__template *layout = given->pair == NULL ? &tokenizer->single : &tokenizer->pair;
    size_t room;
    range where[2] = {{0, 0}, {0, 0}};
    plan all = {0, 0};
    out->len = 0;
    out->truncated = false;
    qr_status status = room_of(layout, options, &room);
    if (status == QR_OK)
        status = lay_out(tokenizer, layout, given, options, room, out, where, &all);
    if (status == QR_OK) {
        plan kept = all;
        status = plan_truncation(options, given->pair != NULL, room, &kept);
        if (status == QR_OK) {
            /* The second lies behind the first: cut it first, so that the places stay true. */
            cut(out, where[1], kept.second, options->truncate_left);
            cut(out, where[0], kept.first, options->truncate_left);
            out->truncated = kept.first < all.first || kept.second < all.second;
        }
    }
    if (status != QR_OK)
        out->len = 0;
    return status;
}

qr_status qr_tokenizer_encode(const qr_tokenizer *tokenizer, qr_text text, const qr_text *pair,
                              const qr_encode_options *options, qr_encoding *out) {
    return encode(tokenizer, &(sources){.text = text, .pair = pair}, options, out);
}

qr_status qr_tokenizer_encode_first(const qr_tokenizer *tokenizer, qr_text text,
                                    const qr_encode_options *options, qr_first_text *out) {
    size_t room;
    out->kept.len = out->len = 0;
    qr_status status = room_of(&tokenizer->pair, options, &room);
    if (status == QR_OK)
        status = qr__encode_text(tokenizer, text, enough_of_first(options, true, room), &out->kept);
    if (status != QR_OK) {
        out->kept.len = 0;
        return status;
    }
    out->len = out->kept.len;
    /* No pair holds more of it than the room, whatever stands beside it. */
    cut(&out->kept, (range){0, out->len}, qr_min(out->len, room), options->truncate_left);
    return QR_OK;
}

qr_status qr_tokenizer_encode_pair(const qr_tokenizer *tokenizer, const qr_first_text *first,
                                   qr_text second, const qr_encode_options *options,
                                   qr_encoding *out) {
    return encode(tokenizer, &(sources){.first = first, .pair = &second}, options, out);
}

void qr_first_text_deinit(qr_first_text *first) {
    if (first == NULL)
        return;
    qr_encoding_deinit(&first->kept);
    first->len = 0;
}

/* server/api/schema.h: JSON Schema (2020-12), written with macros in routes' rows, for
 * /openapi.json.
 *
 *     .reply = QR__S_LIST(QR__S_LIST(QR__S_FLOAT))
 *     QR__OTHER("inputs", "a text or a list of texts", QR__S_TEXTS)
 */
#ifndef QR_SERVER_API_SCHEMA_H
#define QR_SERVER_API_SCHEMA_H

#define QR__S_TEXT       "{\"type\":\"string\"}"
#define QR__S_FLAG       "{\"type\":\"boolean\"}"
#define QR__S_WHOLE      "{\"type\":\"integer\"}"
#define QR__S_COUNT      "{\"type\":\"integer\",\"minimum\":0}"
#define QR__S_NULL       "{\"type\":\"null\"}"
#define QR__S_FLOAT      "{\"type\":\"number\"}"
#define QR__S_ANY_OBJECT "{\"type\":\"object\"}"
#define QR__S_LIST(of)   "{\"type\":\"array\",\"items\":" of "}"
#define QR__S_ROW(of, most)                                                                        \
    "{\"type\":\"array\",\"minItems\":1,\"maxItems\":" most ",\"items\":" of "}"
#define QR__S_EITHER(a, b)     "{\"anyOf\":[" a "," b "]}"
#define QR__S_OR_NULL(a)       "{\"anyOf\":[" a ",{\"type\":\"null\"}]}"
#define QR__S_CONST(text)      "{\"const\":\"" text "\"}"
#define QR__S_MAP(of)          "{\"type\":\"object\",\"additionalProperties\":" of "}"
#define QR__S_MEMBER(name, of) "\"" name "\":" of
/* Members are joined by commas. */
#define QR__S_OBJECT(members) "{\"type\":\"object\",\"properties\":{" members "}}"
/* With the names of those that are never missing, "\"a\",\"b\"", and up to eight members. */
#define QR__S_SHAPE(required, ...)                                                                 \
    "{\"type\":\"object\",\"properties\":{" QR__S_JOIN(__VA_ARGS__) "},\"required\":[" required "]}"

/* Members, one to eight, with commas between them. */
#define QR__S_JOIN(...)                                                                            \
    QR__S_NINTH(__VA_ARGS__, QR__S_JOIN8, QR__S_JOIN7, QR__S_JOIN6, QR__S_JOIN5, QR__S_JOIN4,      \
                QR__S_JOIN3, QR__S_JOIN2, QR__S_JOIN1, 0)                                          \
    (__VA_ARGS__)
#define QR__S_NINTH(a, b, c, d, e, f, g, h, ninth, ...) ninth
#define QR__S_JOIN1(a)                                  a
#define QR__S_JOIN2(a, b)                               a "," b
#define QR__S_JOIN3(a, b, c)                            a "," b "," c
#define QR__S_JOIN4(a, b, c, d)                         a "," b "," c "," d
#define QR__S_JOIN5(a, b, c, d, e)                      a "," b "," c "," d "," e
#define QR__S_JOIN6(a, b, c, d, e, f)                   a "," b "," c "," d "," e "," f
#define QR__S_JOIN7(a, b, c, d, e, f, g)                a "," b "," c "," d "," e "," f "," g
#define QR__S_JOIN8(a, b, c, d, e, f, g, h)             a "," b "," c "," d "," e "," f "," g "," h

/* What the dialects share. Ids are below QR_LIMIT_VOCAB. */
#define QR__S_SOME_TEXT     "{\"type\":\"string\",\"minLength\":1}"
#define QR__S_SOME_LIST(of) "{\"type\":\"array\",\"minItems\":1,\"items\":" of "}"
#define QR__S_ID            "{\"type\":\"integer\",\"minimum\":0,\"maximum\":999999}"
#define QR__S_IDS           QR__S_SOME_LIST(QR__S_ID)
#define QR__S_INPUT         QR__S_EITHER(QR__S_SOME_TEXT, QR__S_IDS)
#define QR__S_INPUTS        QR__S_EITHER(QR__S_INPUT, QR__S_SOME_LIST(QR__S_INPUT))
#define QR__S_TEXTS         QR__S_EITHER(QR__S_TEXT, QR__S_SOME_LIST(QR__S_TEXT))
#define QR__S_VECTORS       QR__S_LIST(QR__S_LIST(QR__S_FLOAT))
#define QR__S_USAGE                                                                                \
    QR__S_SHAPE("\"prompt_tokens\",\"total_tokens\"", QR__S_MEMBER("prompt_tokens", QR__S_COUNT),  \
                QR__S_MEMBER("total_tokens", QR__S_COUNT))
#define QR__S_RERANKED                                                                             \
    QR__S_SHAPE(                                                                                   \
        "\"id\",\"model\",\"results\",\"usage\"", QR__S_MEMBER("id", QR__S_TEXT),                  \
        QR__S_MEMBER("model", QR__S_TEXT), QR__S_MEMBER("usage", QR__S_USAGE),                     \
        QR__S_MEMBER(                                                                              \
            "results",                                                                             \
            QR__S_LIST(QR__S_SHAPE(                                                                \
                "\"index\",\"relevance_score\"", QR__S_MEMBER("index", QR__S_COUNT),               \
                QR__S_MEMBER("relevance_score", QR__S_FLOAT),                                      \
                QR__S_MEMBER("document", QR__S_OBJECT(QR__S_MEMBER("text", QR__S_TEXT)))))))
#define QR__S_SPAN                                                                                 \
    QR__S_SHAPE("\"score\",\"start\",\"end\",\"answer\"", QR__S_MEMBER("score", QR__S_FLOAT),      \
                QR__S_MEMBER("start", QR__S_COUNT), QR__S_MEMBER("end", QR__S_COUNT),              \
                QR__S_MEMBER("answer", QR__S_TEXT))

#endif

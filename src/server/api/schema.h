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
#define QR__S_FLOAT      "{\"type\":\"number\"}"
#define QR__S_ANY_OBJECT "{\"type\":\"object\"}"
#define QR__S_LIST(of)   "{\"type\":\"array\",\"items\":" of "}"
#define QR__S_ROW(of, most)                                                                        \
    "{\"type\":\"array\",\"minItems\":1,\"maxItems\":" most ",\"items\":" of "}"
#define QR__S_EITHER(a, b)     "{\"anyOf\":[" a "," b "]}"
#define QR__S_OR_NULL(a)       "{\"anyOf\":[" a ",{\"type\":\"null\"}]}"
#define QR__S_MEMBER(name, of) "\"" name "\":" of
/* Members are joined by commas. */
#define QR__S_OBJECT(members) "{\"type\":\"object\",\"properties\":{" members "}}"

/* What the dialects share. */
#define QR__S_IDS     QR__S_LIST("{\"type\":\"integer\",\"minimum\":0}")
#define QR__S_INPUT   QR__S_EITHER(QR__S_TEXT, QR__S_IDS)
#define QR__S_INPUTS  QR__S_EITHER(QR__S_INPUT, QR__S_LIST(QR__S_INPUT))
#define QR__S_TEXTS   QR__S_EITHER(QR__S_TEXT, QR__S_LIST(QR__S_TEXT))
#define QR__S_VECTORS QR__S_LIST(QR__S_LIST(QR__S_FLOAT))
#define QR__S_SPAN                                                                                 \
    QR__S_OBJECT(QR__S_MEMBER("score", QR__S_FLOAT) "," QR__S_MEMBER(                              \
        "start", QR__S_WHOLE) "," QR__S_MEMBER("end", QR__S_WHOLE) "," QR__S_MEMBER("answer",      \
                                                                                    QR__S_TEXT))

#endif

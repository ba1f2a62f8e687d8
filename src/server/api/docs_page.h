/* server/api/docs_page.h: the pages of /docs and /, as they stand in the program.
 *
 *     qr_buf_append(&x->out, qr__docs_page, qr__docs_page_len);
 *
 * cmake/EmbedPage.cmake makes these of docs_page.html and of
 * web/playground.html when those change. Threads: const.
 */
#ifndef QR_SERVER_API_DOCS_PAGE_H
#define QR_SERVER_API_DOCS_PAGE_H

#include <stddef.h>

extern const unsigned char qr__docs_page[];
extern const size_t qr__docs_page_len;

/** Its Content-Security-Policy: the page's own script and style, named by their hashes, and answers
 * of this server; nothing else. */
extern const char qr__docs_page_policy[];

/** The same of the page at /, which tries the models (web/playground.html). */
extern const unsigned char qr__playground[];
extern const size_t qr__playground_len;
extern const char qr__playground_policy[];

#endif

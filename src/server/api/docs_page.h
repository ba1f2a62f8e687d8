/* server/api/docs_page.h: the page of /docs, as it stands in the program.
 *
 *     qr_buf_append(&x->out, qr__docs_page, qr__docs_page_len);
 *
 * cmake/EmbedPage.cmake makes these of docs_page.html when that changes. Threads: const.
 */
#ifndef QR_SERVER_API_DOCS_PAGE_H
#define QR_SERVER_API_DOCS_PAGE_H

#include <stddef.h>

extern const unsigned char qr__docs_page[];
extern const size_t qr__docs_page_len;

/** Its Content-Security-Policy: the page's own script and style, named by their hashes, and answers
 * of this server; nothing else. */
extern const char qr__docs_page_policy[];

#endif

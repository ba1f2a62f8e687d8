/* server/outlook.h: what is ahead of a request, on the machines that may compute it.
 *
 *     status = qr__outlook(flow->options.schedule, exchange);  // before its body is decoded
 *     wait_ms = qr__outlook_retry_ms(flow->options.schedule, exchange);   // of a refused one
 *
 * Which model is asked a body may say, and each machine has a schedule of its own. So a request
 * whose model is not known yet is held against the machine where it would fare best: nobody is
 * refused for work that does not delay him. Threads: the loop's only.
 */
#ifndef QR_SERVER_OUTLOOK_H
#define QR_SERVER_OUTLOOK_H

#include "server/exchange.h"

/** As qr_schedule_outlook, of the best machine that may compute the request. `cpu`: where a request
 * goes that no model computes. */
QR_MUST_USE qr_status qr__outlook(qr_schedule *cpu, const qr_exchange *exchange);

/** As qr_schedule_retry_ms, of the machine that was asked; of several that which is free first. */
uint32_t qr__outlook_retry_ms(qr_schedule *cpu, const qr_exchange *exchange);

#endif

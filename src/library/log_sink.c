/* library/log_sink.c: log lines go to the caller's sink, or nowhere. The lock is held while the
 * sink runs: so it need not be safe for threads, and one that was replaced is not running. */
#include <pthread.h>

#include "library/library_internal.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static qr_lib_log_sink *sink;
static void *sink_state;
static int lowest_level;

static void forward(void *state, qr_log_level level, qr_text message) {
    (void)state;
    pthread_mutex_lock(&lock);
    if (sink != NULL && (int)level >= lowest_level)
        sink(sink_state, (qr_lib_log_level)level, message.data);
    pthread_mutex_unlock(&lock);
}

static void start(void) {
    qr_log_init(QR_LOG_DEBUG, QR_LOG_AS_TEXT);
    qr_log_set_sink(forward, NULL);
}

void qr__lib_log_start(void) {
    pthread_once(&once, start);
}

qr_lib_status qr_lib_log_to(qr_lib_log_sink *to, void *state, qr_lib_log_level lowest) {
    if ((int)lowest < QR_LIB_LOG_DEBUG || (int)lowest > QR_LIB_LOG_ERROR)
        return QR_LIB_BAD_ARGUMENT;
    qr__lib_log_start();
    pthread_mutex_lock(&lock);
    sink = to;
    sink_state = state;
    lowest_level = (int)lowest;
    pthread_mutex_unlock(&lock);
    return QR_LIB_OK;
}

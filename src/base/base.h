/* base/base.h: the house's foundation, and the one header other rooms include from it.
 *
 * Status codes, text spans, arenas, capped buffers, checked arithmetic, log, clock, files,
 * limits, threads that wait. Knows nothing of models or HTTP; needs libc, and jansson where memory
 * ends (json_parse.h).
 */
#ifndef QR_BASE_H
#define QR_BASE_H

#include "base/arena.h"
#include "base/assert.h"
#include "base/buf.h"
#include "base/cgroup.h"
#include "base/chaos.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/cores.h"
#include "base/file.h"
#include "base/float_text.h"
#include "base/json_parse.h"
#include "base/json_text.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/quota.h"
#include "base/random.h"
#include "base/rate.h"
#include "base/status.h"
#include "base/text.h"
#include "base/trace_id.h"
#include "base/wait.h"

#endif

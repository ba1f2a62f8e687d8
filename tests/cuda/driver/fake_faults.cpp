/* What every call of the fake driver begins with: counting, faults, checks; and what is left. */
#include "fake_state.h"
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <unistd.h>

namespace {

struct fault {
    std::string call;
    unsigned at; // the use that fails, counted from the process's begin
    int code;
    bool sticky;
};

/* These outlive static objects too: the program may still call while it exits. */
std::vector<fault> &faults = *new std::vector<fault>;
std::map<std::string, unsigned> &uses = *new std::map<std::string, unsigned>;
int stuck;

const char *const symbols[] = {
#define QR_X(name, symbol, arguments) #symbol,
    QR__DRIVER_LIST(QR_X) QR_MORE_DRIVER_LIST(QR_X)
#undef QR_X
};

/* A fault for a call that does not exist would be a test that tests nothing. */
void check_symbol(const std::string &call) {
    for (const char *symbol : symbols)
        if (call == symbol)
            return;
    fprintf(stderr, "fake cuda: there is no call %s\n", call.c_str());
    abort();
}

void add_fault(const std::string &call, unsigned nth, int code, bool sticky) {
    check_symbol(call);
    faults.push_back({call, uses[call] + nth, code, sticky});
}

std::vector<std::string> split(const std::string &text, char at) {
    std::vector<std::string> parts;
    std::istringstream rest(text);
    for (std::string part; std::getline(rest, part, at);)
        parts.push_back(part);
    return parts;
}

bool adds_work(const std::string &call) {
    return call == "cuGraphLaunch" || call == "cuMemcpyHtoDAsync_v2";
}

[[noreturn]] void never_return(std::unique_lock<std::recursive_mutex> &hold) {
    hold.unlock();
    for (;;)
        pause();
}

int code_of(const std::string &text) {
    return text == "endless" ? QR_FAKE_CUDA_ENDLESS : std::stoi(text);
}

/* CALL:NTH:CODE[:sticky],... */
void read_faults(const char *text) {
    for (const std::string &row : split(text ? text : "", ',')) {
        auto parts = split(row, ':');
        bool sticky = parts.size() == 4 && parts[3] == "sticky";
        if (parts.size() != (sticky ? 4 : 3)) {
            fprintf(stderr, "fake cuda: QR_FAKE_CUDA_FAIL: %s\n", row.c_str());
            abort();
        }
        add_fault(parts[0], (unsigned)std::stoul(parts[1]), code_of(parts[2]), sticky);
    }
}

/* A running program is told of faults by a file, which is gone when they are taken. */
void read_fault_file() {
    static const char *const path = getenv("QR_FAKE_CUDA_FAIL_FILE");
    char text[256] = "";
    FILE *file = path ? fopen(path, "r") : nullptr;
    if (!file)
        return;
    if (fgets(text, sizeof text, file))
        read_faults(text);
    fclose(file);
    remove(path);
}

long number_of(const char *variable, long otherwise) {
    const char *text = getenv(variable);
    return text ? strtol(text, nullptr, 10) : otherwise;
}

void read_environment(fake_driver &d) {
    d.count = (int)number_of("QR_FAKE_CUDA_COUNT", 1);
    d.capability = (int)number_of("QR_FAKE_CUDA_CAPABILITY", 90);
    d.multiprocessors =
        (int)number_of("QR_FAKE_CUDA_MULTIPROCESSORS", d.capability >= 90 ? 132 : 108);
    d.release = (int)number_of("QR_FAKE_CUDA_RELEASE", 13000);
    d.takes_early = number_of("QR_FAKE_CUDA_EARLY", d.capability >= 90) != 0;
    d.memory_bytes = (size_t)number_of("QR_FAKE_CUDA_MEMORY_MB", 4096) << 20;
    const char *name = getenv("QR_FAKE_CUDA_NAME");
    d.name = name ? name : "querent's fake GPU";
    read_faults(getenv("QR_FAKE_CUDA_FAIL"));
}

int check_state(const fake_driver &d, unsigned needs) {
    if (needs & ALWAYS)
        return OK;
    if (stuck)
        return stuck;
    if (!d.ready)
        return NOT_INITIALIZED;
    if ((needs & CONTEXT) && (!fake_current || !fake_current->users))
        return INVALID_CONTEXT;
    if ((needs & NO_CAPTURE) && fake_capturing_to) {
        fake_capturing_to->invalid = true;
        return CAPTURE_UNSUPPORTED;
    }
    return OK;
}

bool is_hung(const fake_driver &d) {
    for (const auto &s : d.streams.all)
        if (fake_is_stuck(s.first))
            return true;
    return false;
}

/* The counts of one process, printed when it ends. */
struct at_exit {
    ~at_exit() {
        if (is_hung(driver()))
            fake_never_returns("the end of the process");
        qr_fake_cuda_live l;
        qr_fake_cuda_count_live(&l);
        if (!getenv("QR_FAKE_CUDA_LEAKS") ||
            !(l.contexts + l.modules + l.streams + l.events + l.graphs + l.execs + l.allocations +
              l.host_allocations))
            return;
        fprintf(stderr,
                "fake cuda: live at exit: %u contexts, %u modules, %u streams, %u events, %u "
                "graphs, %u execs, %u allocations of %zu bytes, %u host allocations\n",
                l.contexts, l.modules, l.streams, l.events, l.graphs, l.execs, l.allocations,
                l.bytes, l.host_allocations);
        fflush(nullptr);
        _exit(97);
    }
} report_at_exit;

} // namespace

thread_local qr__cu_context_st *fake_current;
thread_local qr__cu_stream_st *fake_capturing_to;
thread_local bool fake_endless;

void fake_never_returns(const char *call) {
    fprintf(stderr, "fake cuda: %s waits for what never ends\n", call);
    abort();
}

/* Outlives every static object: threads may still call while the process ends. */
fake_driver &driver() {
    static fake_driver &d = *[] {
        auto *made = new fake_driver;
        read_environment(*made);
        return made;
    }();
    return d;
}

fake_entry::fake_entry(const char *call, unsigned needs) : result(OK), hold(driver().lock) {
    read_fault_file();
    unsigned use = ++uses[call];
    fake_endless = false;
    for (const fault &f : faults)
        if (f.call == call && f.at == use && f.code == QR_FAKE_CUDA_ENDLESS) {
            if (!adds_work(call))
                never_return(hold);
            fake_endless = true;
        } else if (f.call == call && f.at == use) {
            result = f.code;
            stuck = f.sticky ? f.code : stuck;
        }
    if (!result)
        result = check_state(driver(), needs);
    if (!result && (needs & WAITS) && is_hung(driver()))
        fake_never_returns(call);
}

extern "C" __attribute__((visibility("default"))) void
qr_fake_cuda_fail(const char *call, unsigned nth, int code, int sticky) {
    std::lock_guard<std::recursive_mutex> hold(driver().lock);
    if (call) {
        add_fault(call, nth, code, sticky != 0);
    } else {
        faults.clear();
        stuck = 0;
        for (auto &stream : driver().streams.all)
            fake_end(stream.first);
    }
}

extern "C" __attribute__((visibility("default"))) unsigned qr_fake_cuda_calls(const char *call) {
    std::lock_guard<std::recursive_mutex> hold(driver().lock);
    check_symbol(call);
    return uses[call];
}

extern "C" __attribute__((visibility("default"))) void
qr_fake_cuda_count_live(qr_fake_cuda_live *live) {
    fake_driver &d = driver();
    std::lock_guard<std::recursive_mutex> hold(d.lock);
    *live = {};
    for (const auto &c : d.contexts)
        live->contexts += c.second.users;
    live->modules = (unsigned)d.modules.all.size();
    live->streams = (unsigned)d.streams.all.size();
    live->events = (unsigned)d.events.all.size();
    live->graphs = (unsigned)d.graphs.all.size();
    live->execs = (unsigned)d.execs.all.size();
    live->allocations = (unsigned)d.memory.size();
    live->host_allocations = (unsigned)d.host.size();
    live->bytes = d.used;
}

/* A backend that wraps a real one and does something wrong when it computes.
 *
 * Compiled by the tests with REAL (the path of the library that is wrapped), SCORE, and what it does:
 * CRASH, HANG, WRONG (numbers), CRASH_IF (the path of a file: it crashes while that is there), CRASH_IF_READ (the path
 * of a file: it crashes if it can open that), or STALL_GRAMMARS_IF (the path of a file: while that is there, threads that compute
 * grammars' masks sleep). With GPU it says that its device is one. The tables are those of ggml-backend-impl.h, by their places. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { API_VERSION = 3 };
enum { REG_GET_DEVICE = 3 };
enum { DEV_GET_NAME = 0, DEV_GET_TYPE = 3, DEV_GET_PROPS = 4, DEV_INIT_BACKEND = 5 };
enum { BACKEND_GRAPH_COMPUTE = 1 + 12 };
enum { TYPE_GPU = 1 };

/* In libggml-base, which the program has. */
extern void *ggml_graph_node(void *graph, int index);
extern float *ggml_get_data_f32(const void *tensor);
extern int64_t ggml_nelements(const void *tensor);

struct props {
    const char *name, *description;
    size_t memory_free, memory_total;
    int type;
};

static int (*real_compute)(void *, void *);
static void *(*real_init)(void *, const char *);
static void (*real_props)(void *, struct props *);

#ifdef STALL_GRAMMARS_IF
static void stall(int number) {
    (void)number;
    sleep(8);
}

static void stall_grammars(void) {
    if (access(STALL_GRAMMARS_IF, F_OK) != 0) return;
    signal(SIGUSR1, stall);
    DIR *threads = opendir("/proc/self/task");
    for (struct dirent *thread; threads && (thread = readdir(threads));) {
        char path[64], name[16] = "";
        snprintf(path, sizeof path, "/proc/self/task/%.20s/comm", thread->d_name);
        FILE *file = fopen(path, "r");
        if (!file) continue;
        if (fgets(name, sizeof name, file) && !strcmp(name, "grammar\n"))
            syscall(SYS_tgkill, getpid(), atoi(thread->d_name), SIGUSR1);
        fclose(file);
    }
    if (threads) closedir(threads);
}
#endif

static int compute(void *backend, void *graph) {
#ifdef STALL_GRAMMARS_IF
    stall_grammars();
#endif
#ifdef CRASH
    raise(SIGILL);
#endif
#ifdef HANG
    for (;;) pause();
#endif
#ifdef CRASH_IF
    if (access(CRASH_IF, F_OK) == 0) raise(SIGILL);
#endif
#ifdef CRASH_IF_READ
    if (open(CRASH_IF_READ, O_RDONLY) >= 0) raise(SIGILL);
#endif
    int status = real_compute(backend, graph);
#ifdef WRONG
    void *last = ggml_graph_node(graph, -1);
    float *numbers = ggml_get_data_f32(last);
    /* As a tile of which one row is missing. */
    for (int64_t n = ggml_nelements(last) / 2; n < ggml_nelements(last) / 2 + 16; n++) numbers[n] = 0;
#endif
    return status;
}

static void *init(void *device, const char *params) {
    void **backend = real_init(device, params);
    real_compute = (int (*)(void *, void *))backend[BACKEND_GRAPH_COMPUTE];
    backend[BACKEND_GRAPH_COMPUTE] = (void *)compute;
    return backend;
}

static const char *name(void *device) { (void)device; return "FAKE0"; }
static int type(void *device) { (void)device; return TYPE_GPU; }
static void props(void *device, struct props *out) {
    real_props(device, out);
    out->name = "FAKE0";
    out->type = TYPE_GPU;
}

int ggml_backend_score(void) { return SCORE; }

void *ggml_backend_init(void) {
    void *library = dlopen(REAL, RTLD_NOW | RTLD_LOCAL);
    if (!library) return NULL;
    void **(*real)(void) = (void **(*)(void))dlsym(library, "ggml_backend_init");
    void **reg = real();
    if (*(int *)reg != API_VERSION) abort();
    /* The version takes the first place. */
    void **(*get_device)(void *, size_t) = (void **(*)(void *, size_t))reg[REG_GET_DEVICE];
    void **device = get_device(reg, 0);
    real_init = (void *(*)(void *, const char *))device[DEV_INIT_BACKEND];
    device[DEV_INIT_BACKEND] = (void *)init;
#ifdef GPU
    real_props = (void (*)(void *, struct props *))device[DEV_GET_PROPS];
    device[DEV_GET_NAME] = (void *)name;
    device[DEV_GET_TYPE] = (void *)type;
    device[DEV_GET_PROPS] = (void *)props;
#else
    (void)name, (void)type, (void)props, (void)real_props;
#endif
    return reg;
}

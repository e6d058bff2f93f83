/* A libnvidia-ml.so.1 without a GPU: the part of NVML that spacerun asks for, with the same structures and symbols.
 *
 * What it tells comes from the environment, and from lines `NAME=VALUE` of the file $NVML_STUB_FILE, which win and
 * are read anew on every call: replace that file and memory, processes or failures change under a running program.
 *
 *   NVML_STUB_GPUS    name|totalMiB|usedMiB|cc[|key=value...];...   in NVML's order
 *                     keys: uuid, pci (dddd:bb:dd), util, temp (Celsius), power and limit (milliwatts),
 *                     mig=1 (MIG mode on), fail.WHAT=NVML error code,
 *                     where WHAT is handle, name, uuid, pci, memory, utilization, temperature, power, limit, cc, mig
 *                     or processes; temperature_v1 is the older of the two functions alone
 *   NVML_STUB_MIG     gpu|name|totalMiB|usedMiB|gpuInstance|computeInstance[|key=value...];...
 *   NVML_STUB_PROCS   gpu:pid:MiB[:graphics];...   gpu is 0, or 0.1 for the second MIG instance; MiB - is unknown
 *   NVML_STUB_DRIVER, NVML_STUB_CUDA (12040), NVML_STUB_RESERVED_MIB
 *   NVML_STUB_FAIL_INIT   NVML error code with which NVML does not start; one that has started goes on
 *   NVML_STUB_WIDE_V3=1   the third version of the process functions writes the longer structure of drivers 535.43 to
 *                         535.86
 *
 * -DOLD_DRIVER leaves out what drivers of the 450 branch do not have.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB (1024ULL * 1024ULL)
#define TEXT 65536

enum { OK = 0, UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7 };

typedef void *handle_t;
typedef struct { unsigned int gpu; int mig; char item[TEXT]; } device_t;
typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned int version; unsigned long long total, reserved, free, used; } memory_v2_t;
typedef struct { char legacy[16]; unsigned int domain, bus, device, id, subsystem; char bus_id[32]; } pci_t;
typedef struct { unsigned int gpu, memory; } utilization_t;
typedef struct { unsigned int pid; unsigned long long used; unsigned int gpu_instance, compute_instance; } process_t;

typedef struct { unsigned int version, sensor; int celsius; } temperature_t;

static int users = 0;

static const char *setting(const char *name, char *out) {
    const char *path = getenv("NVML_STUB_FILE"), *value = getenv(name);
    FILE *file = path ? fopen(path, "r") : NULL;
    snprintf(out, TEXT, "%s", value ? value : "");
    if (file) {
        char line[TEXT];
        size_t length = strlen(name);
        while (fgets(line, sizeof line, file))
            if (!strncmp(line, name, length) && line[length] == '=') {
                line[strcspn(line, "\n")] = 0;
                snprintf(out, TEXT, "%s", line + length + 1);
            }
        fclose(file);
    }
    return out;
}

static long number(const char *name, long otherwise) {
    char text[TEXT];
    return *setting(name, text) ? strtol(text, NULL, 10) : otherwise;
}

/* Part `index` of `text` between separators; 0 where there is none. */
static int part(const char *text, char separator, unsigned int index, char *out) {
    for (; index; index--) {
        if (!(text = strchr(text, separator))) return 0;
        text++;
    }
    const char *end = strchr(text, separator);
    snprintf(out, TEXT, "%.*s", (int)(end ? end - text : (long)strlen(text)), text);
    return *out != 0;
}

static long field(const device_t *d, unsigned int index) {
    char text[TEXT];
    return part(d->item, '|', index, text) ? strtol(text, NULL, 10) : 0;
}

static int option(const device_t *d, const char *key, char *out) {
    size_t length = strlen(key);
    for (unsigned int i = 4; part(d->item, '|', i, out); i++)
        if (!strncmp(out, key, length) && out[length] == '=') {
            memmove(out, out + length + 1, strlen(out + length));
            return 1;
        }
    return 0;
}

static int failure(const device_t *d, const char *what) {
    char key[64], value[TEXT];
    snprintf(key, sizeof key, "fail.%s", what);
    return option(d, key, value) ? (int)strtol(value, NULL, 10) : OK;
}

static int gpu_item(unsigned int gpu, char *out) {
    char all[TEXT];
    return part(setting("NVML_STUB_GPUS", all), ';', gpu, out);
}

static int mig_item(unsigned int gpu, int mig, char *out) {
    char all[TEXT];
    int seen = 0;
    setting("NVML_STUB_MIG", all);
    for (unsigned int i = 0; part(all, ';', i, out); i++)
        if (strtoul(out, NULL, 10) == gpu && seen++ == mig) return 1;
    return 0;
}

static handle_t handle_of(unsigned int gpu, int mig) { return (handle_t)(uintptr_t)(1 + gpu * 64 + (unsigned)(mig + 1)); }

static int find(handle_t handle, device_t *d, const char *what) {
    uintptr_t value = (uintptr_t)handle - 1;
    if (!users) return UNINITIALIZED;
    if (!handle) return INVALID;
    d->gpu = (unsigned int)(value / 64);
    d->mig = (int)(value % 64) - 1;
    if (!(d->mig < 0 ? gpu_item(d->gpu, d->item) : mig_item(d->gpu, d->mig, d->item))) return NOT_FOUND;
    return failure(d, what);
}

#define FIND(what) device_t d; int error = find(handle, &d, what); if (error) return error

int nvmlInitWithFlags(unsigned int flags) {
    (void)flags;
    int error = users ? OK : (int)number("NVML_STUB_FAIL_INIT", OK);
    users += !error;
    return error;
}
int nvmlShutdown(void) { return users ? (users--, OK) : UNINITIALIZED; }

const char *nvmlErrorString(int code) {
    switch (code) {
        case NOT_SUPPORTED: return "Not Supported";
        case 4: return "Insufficient Permissions";
        case 9: return "Driver Not Loaded";
        case 15: return "GPU is lost";
        case 16: return "GPU requires reset";
        case 18: return "Driver/library version mismatch";
        default: return "Unknown Error";
    }
}

int nvmlSystemGetDriverVersion(char *out, unsigned int size) {
    char text[TEXT];
    if (!users) return UNINITIALIZED;
    snprintf(out, size, "%s", *setting("NVML_STUB_DRIVER", text) ? text : "550.54.14");
    return OK;
}
int nvmlSystemGetCudaDriverVersion(int *out) { *out = (int)number("NVML_STUB_CUDA", 12040); return OK; }

int nvmlDeviceGetCount_v2(unsigned int *out) {
    char item[TEXT];
    if (!users) return UNINITIALIZED;
    for (*out = 0; gpu_item(*out, item); ++*out) {}
    return OK;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, handle_t *out) {
    handle_t handle = *out = handle_of(index, -1);
    FIND("handle");
    return OK;
}

int nvmlDeviceGetName(handle_t handle, char *out, unsigned int size) {
    FIND("name");
    char text[TEXT];
    part(d.item, '|', d.mig < 0 ? 0 : 1, text);
    snprintf(out, size, "%s", text);
    return OK;
}
int nvmlDeviceGetUUID(handle_t handle, char *out, unsigned int size) {
    FIND("uuid");
    char text[TEXT];
    if (option(&d, "uuid", text)) snprintf(out, size, "%s", text);
    else if (d.mig < 0) snprintf(out, size, "GPU-%08x-1111-2222-3333-444444444444", d.gpu);
    else snprintf(out, size, "MIG-%08x-%04x-5555-6666-777777777777", d.gpu, (unsigned)d.mig);
    return OK;
}
int nvmlDeviceGetHandleByUUID(const char *uuid, handle_t *out) {
    char text[TEXT];
    if (!users) return UNINITIALIZED;
    for (unsigned int gpu = 0; gpu_item(gpu, text); gpu++)
        for (int mig = -1; mig < 0 || mig_item(gpu, mig, text); mig++) {
            *out = handle_of(gpu, mig);
            if (nvmlDeviceGetUUID(*out, text, TEXT) == OK && !strcmp(text, uuid)) return OK;
        }
    return NOT_FOUND;
}
int nvmlDeviceGetPciInfo_v3(handle_t handle, pci_t *out) {
    FIND("pci");
    char text[TEXT];
    memset(out, 0, sizeof *out);
    out->bus = d.gpu + 1;
    if (option(&d, "pci", text)) sscanf(text, "%x:%x:%x", &out->domain, &out->bus, &out->device);
    snprintf(out->bus_id, sizeof out->bus_id, "%08X:%02X:%02X.0", out->domain, out->bus, out->device);
    return OK;
}

static void memory(const device_t *d, memory_v2_t *out) {
    unsigned int first = d->mig < 0 ? 1 : 2;
    out->total = (unsigned long long)field(d, first) * MIB;
    out->used = (unsigned long long)field(d, first + 1) * MIB;
    out->reserved = (unsigned long long)number("NVML_STUB_RESERVED_MIB", 0) * MIB;
    out->free = out->total > out->used + out->reserved ? out->total - out->used - out->reserved : 0;
}
int nvmlDeviceGetMemoryInfo(handle_t handle, memory_t *out) {
    FIND("memory");
    memory_v2_t full;
    memory(&d, &full);
    out->total = full.total;
    out->free = full.free;
    out->used = full.total - full.free; /* the first version counts the driver's own memory as used */
    return OK;
}

int nvmlDeviceGetUtilizationRates(handle_t handle, utilization_t *out) {
    FIND("utilization");
    char text[TEXT];
    if (d.mig >= 0) return NOT_SUPPORTED;
    out->gpu = out->memory = option(&d, "util", text) ? (unsigned)strtoul(text, NULL, 10) : 0;
    return OK;
}
static int reading(const device_t *d, const char *key, unsigned int *out) {
    char text[TEXT];
    if (d->mig >= 0 || !option(d, key, text)) return NOT_SUPPORTED;
    *out = (unsigned)strtoul(text, NULL, 10);
    return OK;
}
int nvmlDeviceGetTemperature(handle_t handle, int sensor, unsigned int *out) {
    FIND("temperature");
    if ((error = failure(&d, "temperature_v1"))) return error;
    return sensor ? INVALID : reading(&d, "temp", out);
}
int nvmlDeviceGetPowerUsage(handle_t handle, unsigned int *out) { FIND("power"); return reading(&d, "power", out); }
int nvmlDeviceGetEnforcedPowerLimit(handle_t handle, unsigned int *out) { FIND("limit"); return reading(&d, "limit", out); }
int nvmlDeviceGetCudaComputeCapability(handle_t handle, int *major, int *minor) {
    FIND("cc");
    char text[TEXT];
    if (d.mig >= 0) return NOT_SUPPORTED;
    return part(d.item, '|', 3, text) && sscanf(text, "%d.%d", major, minor) == 2 ? OK : NOT_SUPPORTED;
}

/* `size` is that of the structure: what follows the known fields stays 0. */
static int processes(handle_t handle, unsigned int *count, void *out, int graphics, size_t size) {
    FIND("processes");
    char all[TEXT], entry[TEXT], text[TEXT];
    unsigned int room = *count;
    *count = 0;
    setting("NVML_STUB_PROCS", all);
    for (unsigned int i = 0; part(all, ';', i, entry); i++) {
        char *end;
        unsigned long gpu = strtoul(entry, &end, 10);
        int mig = *end == '.' ? (int)strtol(end + 1, NULL, 10) : -1;
        if (gpu != d.gpu || mig != d.mig || part(entry, ':', 3, text) != graphics) continue;
        if (*count < room) {
            process_t *process = memset((char *)out + *count * size, 0, size);
            part(entry, ':', 1, text);
            process->pid = (unsigned)strtoul(text, NULL, 10);
            part(entry, ':', 2, text);
            process->used = *text == '-' ? ~0ULL : strtoull(text, NULL, 10) * MIB;
        }
        ++*count;
    }
    return *count > room ? INSUFFICIENT_SIZE : OK;
}

int nvmlDeviceGetComputeRunningProcesses_v2(handle_t h, unsigned int *n, void *out) { return processes(h, n, out, 0, sizeof(process_t)); }
int nvmlDeviceGetGraphicsRunningProcesses_v2(handle_t h, unsigned int *n, void *out) { return processes(h, n, out, 1, sizeof(process_t)); }
#ifndef OLD_DRIVER
static size_t size_v3(void) { return sizeof(process_t) + (number("NVML_STUB_WIDE_V3", 0) ? sizeof(unsigned long long) : 0); }
int nvmlDeviceGetComputeRunningProcesses_v3(handle_t h, unsigned int *n, void *out) { return processes(h, n, out, 0, size_v3()); }
int nvmlDeviceGetGraphicsRunningProcesses_v3(handle_t h, unsigned int *n, void *out) { return processes(h, n, out, 1, size_v3()); }
int nvmlDeviceGetTemperatureV(handle_t handle, temperature_t *out) {
    FIND("temperature");
    return out->sensor ? INVALID : reading(&d, "temp", (unsigned int *)&out->celsius);
}
int nvmlDeviceGetMemoryInfo_v2(handle_t handle, memory_v2_t *out) {
    FIND("memory");
    if (out->version != (sizeof(memory_v2_t) | 2U << 24)) return 25; /* argument version mismatch */
    memory(&d, out);
    return OK;
}

int nvmlDeviceGetMigMode(handle_t handle, unsigned int *current, unsigned int *pending) {
    FIND("mig");
    char text[TEXT];
    if (d.mig >= 0) return INVALID;
    *current = *pending = mig_item(d.gpu, 0, text) || (option(&d, "mig", text) && *text == '1');
    return OK;
}
int nvmlDeviceGetMaxMigDeviceCount(handle_t handle, unsigned int *out) { FIND("mig"); *out = 7; return OK; }
int nvmlDeviceGetMigDeviceHandleByIndex(handle_t handle, unsigned int index, handle_t *out) {
    FIND("mig");
    char text[TEXT];
    *out = handle_of(d.gpu, (int)index);
    return mig_item(d.gpu, (int)index, text) ? OK : NOT_FOUND;
}
int nvmlDeviceGetGpuInstanceId(handle_t handle, unsigned int *out) {
    FIND("mig");
    *out = (unsigned)field(&d, 4);
    return d.mig < 0 ? INVALID : OK;
}
int nvmlDeviceGetComputeInstanceId(handle_t handle, unsigned int *out) {
    FIND("mig");
    *out = (unsigned)field(&d, 5);
    return d.mig < 0 ? INVALID : OK;
}
#endif

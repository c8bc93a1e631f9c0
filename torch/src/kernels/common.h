// The element-wise work of a step, fused: what all kernels use. The same text is compiled by NVRTC for the GPU, where every index is a thread,
// and by the C++ compiler for the CPU, where a loop runs over the indices: tests need no GPU. Nothing is shared between
// indices and every sum has a fixed order, so results repeat.
//
// Names: E trials, n rows of the batch, R rows of the decoder (the batch's, then those for codes from the prior),
// N rows of the encoder (the batch's, then candidates), C columns of a row, L weights of a trial, Z latent dimensions.

struct Args {
    void* t[10];
    int n[12];
};

#ifdef __CUDACC_RTC__
#define BODY static __device__ __forceinline__
#define ENTRY(name)                                                                            \
    extern "C" __global__ void name(Args a, unsigned count) {                                  \
        unsigned i = blockIdx.x * blockDim.x + threadIdx.x;                                    \
        if (i < count) name##_at(a, i);                                                        \
    }
#else
#include <cmath>
#include <cstring>
#define BODY static inline
typedef void (*Run)(const Args*, unsigned);
struct Known {
    const char* name;
    Run run;
    Known* next;
    static Known*& first() {
        static Known* first = nullptr;
        return first;
    }
    Known(const char* name, Run run) : name(name), run(run), next(first()) { first() = this; }
};
extern "C" Run cvae_kernel(const char* name) {
    for (Known* known = Known::first(); known; known = known->next)
        if (!strcmp(known->name, name)) return known->run;
    return nullptr;
}
#define ENTRY(name)                                                                            \
    static void name##_all(const Args* a, unsigned count) {                                    \
        for (unsigned i = 0; i < count; i++) name##_at(*a, i);                                 \
    }                                                                                          \
    static Known name##_known(#name, name##_all);
#endif
#define KERNEL(name)                                                                           \
    BODY void name##_at(const Args& a, unsigned i);                                            \
    ENTRY(name)                                                                                \
    BODY void name##_at(const Args& a, unsigned i)
#define F(k) ((float*)a.t[k])
#define I(k) ((int*)a.t[k])

typedef unsigned long long Wide;
// Rows that one index of a kernel with sums over rows takes.
#define CHUNK 16u
#define CHUNKS(rows) (((rows) + CHUNK - 1) / CHUNK)
// Rows that are read before any is written, so that reads do not wait for each other.
#define AHEAD 4u
#define AHEADS(rows) (((rows) + AHEAD - 1) / AHEAD)
// Floats of a trial's settings: open, beta, hybrid, free bits, clip, decay factor, 1 - beta2, two scales.
#define KNOBS 9u
#define RADIANS 6.0f
#define BOUND 8.0f

#ifdef __CUDACC_RTC__
BODY float sigmoid(float x) { return __fdividef(1.0f, 1.0f + __expf(fminf(-x, 80.0f))); }
#else
BODY float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
#endif
BODY float silu(float x) { return x * sigmoid(x); }
BODY float silu_slope(float x) {
    float s = sigmoid(x);
    return s * (1.0f + x * (1.0f - s));
}
BODY unsigned least(unsigned x, unsigned y) { return x < y ? x : y; }


// The element-wise work of a step, fused. The same text is compiled by NVRTC for the GPU, where every index is a thread,
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

BODY Wide mixed(Wide bits) {
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9ull;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebull;
    return bits ^ (bits >> 31);
}

// [E pairs]: numbers of a trial from its seed by a counter (SplitMix64, Steele et al. 2014): standard normal ones (Box and
// Muller 1958), or uniform ones in 0..1. They are the same whatever other trials there are.
KERNEL(draw) {
    unsigned len = a.n[0], stream = a.n[1], uniform = a.n[2], pairs = (len + 1) / 2, at = i % pairs * 2, e = i / pairs;
    const unsigned* seed = (const unsigned*)a.t[0] + 2 * e;
    Wide start = mixed((Wide)seed[1] << 32 | seed[0]) + ((Wide)stream << 40);
    Wide bits = mixed(start + (at + 1) * 0x9e3779b97f4a7c15ull);
    float first = (bits >> 40) / 16777216.0f, second = (bits >> 8 & 0xffffff) / 16777216.0f;
    if (!uniform) {
        float radius = sqrtf(-2.0f * logf(1.0f - first)), angle = 6.2831853f * second;
        first = radius * cosf(angle);
        second = radius * sinf(angle);
    }
    float* out = F(1) + e * len + at;
    out[0] = first;
    if (at + 1 < len) out[1] = second;
}

// [E N H]: sums of the rows of the encoder's table, through SiLU.
KERNEL(embed) {
    const int *rows = I(0), *starts = I(4);
    unsigned N = a.n[0], H = a.n[1], C = a.n[2], h = i % H, row = i / H, e = row / N;
    const float* table = F(1) + (Wide)e * a.n[3] + a.n[4] + h;
    float x = 0;
    for (unsigned c = 0; c < C; c++) x += table[(starts[c] + rows[row * C + c]) * H];
    float s = sigmoid(x);
    F(2)[i] = x * s;
    F(3)[i] = s * (1.0f + x * (1.0f - s));
}

// [E N H]: adds a bias; through SiLU; the slope takes the input's place.
KERNEL(activate) {
    unsigned N = a.n[0], H = a.n[1], e = i / (N * H);
    float x = F(0)[i] + F(2)[(Wide)e * a.n[2] + a.n[3] + i % H], s = sigmoid(x);
    F(1)[i] = x * s;
    F(0)[i] = s * (1.0f + x * (1.0f - s));
}

// [E N Z]: means and logarithms of variances in place; z of the batch's rows.
KERNEL(posterior) {
    unsigned N = a.n[0], n = a.n[1], R = a.n[2], Z = a.n[3], d = i % Z, row = i / Z, e = row / N, r = row % N;
    const float* bias = F(4) + (Wide)e * a.n[4] + a.n[5];
    float* out = F(0) + row * 2 * Z;
    float mu = out[d] + bias[d], logvar = BOUND * tanhf((out[Z + d] + bias[Z + d]) / BOUND);
    out[d] = mu;
    out[Z + d] = logvar;
    if (r < n)
        F(2)[(e * R + r) * Z + d] = F(3)[e * KNOBS] * (mu + expf(0.5f * logvar) * F(1)[(e * n + r) * Z + d]);
}

// [E chunks Z]: KL of a chunk of rows.
KERNEL(kl_part) {
    unsigned N = a.n[0], n = a.n[1], Z = a.n[2], d = i % Z, chunk = i / Z % CHUNKS(n), e = i / Z / CHUNKS(n);
    float sum = 0;
    for (unsigned r = chunk * CHUNK; r < least(n, (chunk + 1) * CHUNK); r++) {
        const float* out = F(0) + (e * N + r) * 2 * Z;
        float mu = out[d], logvar = out[Z + d];
        sum += 0.5f * (mu * mu + expf(logvar) - 1.0f - logvar);
    }
    F(1)[i] = sum;
}

// [E Z]: mean KL of a dimension, and the loss's slope by a row's KL.
KERNEL(kl) {
    unsigned n = a.n[0], Z = a.n[1], d = i % Z, e = i / Z;
    const float* knobs = F(3) + e * KNOBS;
    float sum = 0;
    for (unsigned chunk = 0; chunk < CHUNKS(n); chunk++) sum += F(0)[(e * CHUNKS(n) + chunk) * Z + d];
    sum *= knobs[0] / n;
    F(1)[i] = sum;
    F(2)[i] = knobs[3] > 0 && sum < knobs[3] ? 0.0f : knobs[0] * knobs[1] / n;
}

// [E m k p]: log density of a code under a candidate's posterior, less a constant.
KERNEL(density) {
    unsigned N = a.n[0], n = a.n[1], m = a.n[2], p = a.n[3], k = a.n[4], Z = a.n[5];
    unsigned j = i % p, code = i / p, list = code / k, e = list / m;
    const float *out = F(0) + (e * N + n + list % m * p + j) * 2 * Z, *z = F(1) + code * Z;
    float sum = 0;
    for (unsigned d = 0; d < Z; d++) {
        float distance = z[d] - out[d];
        sum += distance * distance * expf(-out[Z + d]) + out[Z + d];
    }
    F(2)[i] = -0.5f * sum;
}

// [E m k]: a code's log mass over its candidates.
KERNEL(code_mass) {
    unsigned p = a.n[0], k = a.n[1], first = a.n[2], list = i / k, count = I(3)[list];
    const float *density = F(0) + i * p, *row_mass = F(1) + list * p;
    float most = -3e38f, sum = 0;
    for (unsigned j = 0; j < count; j++) most = fmaxf(most, density[j] - (first ? 0.0f : row_mass[j]));
    for (unsigned j = 0; j < count; j++) sum += expf(density[j] - (first ? 0.0f : row_mass[j]) - most);
    F(2)[i] = most + logf(sum);
}

// [E m p]: a candidate's log mass over the codes.
KERNEL(row_mass) {
    unsigned p = a.n[0], k = a.n[1], list = i / p;
    const float *density = F(0) + list * k * p + i % p, *code_mass = F(1) + list * k;
    float most = -3e38f, sum = 0;
    for (unsigned c = 0; c < k; c++) most = fmaxf(most, density[c * p] - code_mass[c]);
    for (unsigned c = 0; c < k; c++) sum += expf(density[c * p] - code_mass[c] - most);
    F(2)[i] = most + logf(sum);
}

// [E m k]: draws a code's row by its shares; row and code go where the decoder reads them.
KERNEL(pick) {
    unsigned n = a.n[0], R = a.n[1], m = a.n[2], p = a.n[3], k = a.n[4], Z = a.n[5], C = a.n[6], N = a.n[7];
    unsigned list = i / k, e = list / m, count = I(3)[list], balanced = a.n[8];
    const float *density = F(0) + i * p, *row_mass = F(1) + list * p;
    float most = -3e38f, sum = 0, passed = 0;
    for (unsigned j = 0; j < count; j++) most = fmaxf(most, density[j] - (balanced ? row_mass[j] : 0.0f));
    for (unsigned j = 0; j < count; j++) sum += expf(density[j] - (balanced ? row_mass[j] : 0.0f) - most);
    unsigned chosen = 0;
    for (; chosen < count - 1; chosen++) {
        passed += expf(density[chosen] - (balanced ? row_mass[chosen] : 0.0f) - most);
        if (passed > F(2)[i] * sum) break;
    }
    unsigned to = e * R + n + i % (m * k);
    const int* row = I(4) + (e * N + n + list % m * p + chosen) * C;
    for (unsigned c = 0; c < C; c++) I(5)[to * C + c] = row[c];
    for (unsigned d = 0; d < Z; d++) F(6)[to * Z + d] = F(7)[i * Z + d];
}

// [E n]: the decoder's first rows are the batch's; where codes have the batch's rows, so are the others.
KERNEL(place) {
    unsigned N = a.n[0], n = a.n[1], R = a.n[2], C = a.n[3], Z = a.n[4], own = a.n[5], e = i / n, r = i % n;
    for (unsigned c = 0; c < C; c++) {
        int value = I(0)[(e * N + r) * C + c];
        I(1)[(e * R + r) * C + c] = value;
        if (own) I(1)[(e * R + n + r) * C + c] = value;
    }
    for (unsigned d = 0; own && d < Z; d++) F(3)[(e * R + n + r) * Z + d] = F(2)[i * Z + d];
}

// [E C Q], Q = R rounded up to a multiple of 4: a column's values one after the other, then -1.
KERNEL(columns) {
    unsigned R = a.n[0], C = a.n[1], Q = a.n[2], r = i % Q, c = i / Q % C, e = i / Q / C;
    I(1)[i] = r < R ? I(0)[(e * R + r) * C + c] : -1;
}

// [E R S]: the trunk's features for each head, [heads E R F], from the tables.
KERNEL(features) {
    unsigned R = a.n[0], S = a.n[1], A = a.n[2], given = a.n[3], heads = a.n[4], L = a.n[5], prefix = a.n[7];
    unsigned s = i % S, row = i / S, e = row / R, width = S + A, C = a.n[9];
    const int *values = I(0) + row * C, *starts = I(3);
    const float* weights = F(1) + (Wide)e * L;
    float state = 0;
    for (unsigned c = 0; c < given; c++) state += weights[a.n[6] + (starts[c] + values[c]) * S + s];
    Wide trials = a.n[8];
    for (unsigned g = 0; g < heads; g++) {
        float* out = F(2) + (g * trials * R + row) * width;
        if (s < A) {
            out[s] = cosf(RADIANS * state);
            out[A + s] = sinf(RADIANS * state);
        } else {
            out[A + s] = state;
        }
        if (g + 1 < heads) state += weights[prefix + (starts[given + g] - starts[given] + values[given + g]) * S + s];
    }
}

// [E R S]: gradients by the state before each head, summed over this head and those after it, [heads E R S].
KERNEL(features_back) {
    unsigned R = a.n[0], S = a.n[1], A = a.n[2], heads = a.n[3], s = i % S, row = i / S, width = S + A;
    Wide rows = (Wide)a.n[4] * R;
    float sum = 0;
    for (unsigned g = heads; g-- > 0;) {
        const float *out = F(0) + (g * rows + row) * width, *back = F(1) + (g * rows + row) * width;
        sum += s < A ? RADIANS * (out[s] * back[A + s] - out[A + s] * back[s]) : back[A + s];
        F(2)[(g * rows + row) * S + s] = sum;
    }
}

struct alignas(16) Four {
    int x, y, z, w;
};

// [E V S]: the gradient of a table, from the gradients of the rows that hold each value.
KERNEL(table) {
    unsigned R = a.n[0], S = a.n[1], V = a.n[2], Q = a.n[3], C = a.n[4], s = i % S, v = i / S % V, e = i / S / V;
    const int *column = I(1), *value = I(2), *part = I(3);
    int own = value[v];
    const float* back = F(0) + ((Wide)part[v] * a.n[7] + e) * a.n[8] + s;
    const Four* held = (const Four*)(I(4) + (e * C + column[v]) * Q);
    float sum = 0;
    for (unsigned r = 0; r < R; r += 4) {
        Four four = held[r / 4];
        if (four.x == own) sum += back[r * S];
        if (four.y == own && r + 1 < R) sum += back[(r + 1) * S];
        if (four.z == own && r + 2 < R) sum += back[(r + 2) * S];
        if (four.w == own && r + 3 < R) sum += back[(r + 3) * S];
    }
    F(5)[(Wide)e * a.n[5] + a.n[6] + v * S + s] = sum;
}

#define LARGEST 48
#ifdef __CUDACC_RTC__
// Places of a block's threads in its fast memory, 48 KiB of it.
#define SUMS __shared__ float places[LARGEST][256]
#define SUM(v) places[v][threadIdx.x]
#else
#define SUMS float places[LARGEST]
#define SUM(v) places[v]
#endif
// [E T S]: the same for T columns of at most LARGEST values, faster where trials are many.
KERNEL(histogram) {
    unsigned R = a.n[0], S = a.n[1], T = a.n[2], Q = a.n[3], C = a.n[4], s = i % S, t = i / S % T, e = i / S / T;
    const int* map = I(1) + 4 * t;
    unsigned column = map[0], first = map[1], size = map[2], part = map[3];
    const float* back = F(0) + ((Wide)part * a.n[7] + e) * a.n[8] + s;
    const Four* held = (const Four*)(I(2) + (e * C + column) * Q);
    SUMS;
    for (unsigned v = 0; v < size; v++) SUM(v) = 0;
    unsigned r = 0;
    for (; r + 16 <= R; r += 16) {
        Four four[4];
        float x[16];
        for (unsigned q = 0; q < 4; q++) four[q] = held[r / 4 + q];
        for (unsigned q = 0; q < 16; q++) x[q] = back[(r + q) * S];
        for (unsigned q = 0; q < 4; q++) {
            SUM(four[q].x) += x[4 * q];
            SUM(four[q].y) += x[4 * q + 1];
            SUM(four[q].z) += x[4 * q + 2];
            SUM(four[q].w) += x[4 * q + 3];
        }
    }
    for (; r < R; r++) SUM(((const int*)held)[r]) += back[r * S];
    float* out = F(3) + (Wide)e * a.n[5] + a.n[6] + first * S + s;
    for (unsigned v = 0; v < size; v++) out[v * S] = SUM(v);
}

// [E fours w]: a head's units through z's gate and shift.
KERNEL(gate) {
    unsigned R = a.n[0], w = a.n[1], W = a.n[2], at = a.n[3], open = a.n[7], j = i % w;
    unsigned start = i / w % AHEADS(R) * AHEAD, e = i / w / AHEADS(R);
    const float* weights = F(3) + (Wide)e * a.n[4];
    float bias = weights[a.n[5] + j], gate_bias = weights[a.n[6] + at + j], shift_bias = weights[a.n[6] + at + w + j];
    float u[AHEAD], gate[AHEAD], shift[AHEAD];
    for (unsigned q = 0; q < AHEAD; q++) {
        unsigned row = e * R + least(start + q, R - 1);
        const float* latent = F(1) + (Wide)row * W + at;
        u[q] = silu(F(0)[row * w + j] + bias);
        gate[q] = gate_bias + (open ? latent[j] : 0.0f);
        shift[q] = shift_bias + (open ? latent[w + j] : 0.0f);
    }
    for (unsigned q = 0; q < AHEAD && start + q < R; q++)
        F(2)[(e * R + start + q) * w + j] = silu(u[q] + u[q] * gate[q] + shift[q]);
}

// [E chunks w]: back through the gate; gradients take their inputs' places; sums for the biases.
KERNEL(gate_back) {
    unsigned R = a.n[0], w = a.n[1], W = a.n[2], at = a.n[3], open = a.n[7], j = i % w;
    unsigned chunk = i / w % CHUNKS(R), e = i / w / CHUNKS(R), end = least(R, (chunk + 1) * CHUNK);
    const float* weights = F(3) + (Wide)e * a.n[AHEAD];
    float bias = weights[a.n[5] + j], gate_bias = weights[a.n[6] + at + j], shift_bias = weights[a.n[6] + at + w + j];
    float sum = 0, gate_sum = 0, shift_sum = 0;
    for (unsigned start = chunk * CHUNK; start < end; start += AHEAD) {
        float x[AHEAD], gate[AHEAD], shift[AHEAD], back[AHEAD];
        for (unsigned q = 0; q < AHEAD; q++) {
            unsigned row = e * R + least(start + q, R - 1);
            const float* latent = F(1) + (Wide)row * W + at;
            x[q] = F(0)[row * w + j] + bias;
            gate[q] = gate_bias + (open ? latent[j] : 0.0f);
            shift[q] = shift_bias + (open ? latent[w + j] : 0.0f);
            back[q] = F(2)[row * w + j];
        }
        for (unsigned q = 0; q < AHEAD && start + q < end; q++) {
            unsigned row = e * R + start + q;
            float s = sigmoid(x[q]), u = x[q] * s, by_shift = back[q] * silu_slope(u + u * gate[q] + shift[q]);
            float by_units = by_shift * (1.0f + gate[q]) * s * (1.0f + x[q] * (1.0f - s));
            F(0)[row * w + j] = by_units;
            if (open) {
                float* latent = F(1) + (Wide)row * W + at;
                latent[j] = by_shift * u;
                latent[w + j] = by_shift;
            }
            sum += by_units;
            gate_sum += by_shift * u;
            shift_sum += by_shift;
        }
    }
    float* parts = F(4) + (e * CHUNKS(R) + chunk) * a.n[8];
    parts[a.n[9] + j] = sum;
    parts[a.n[10] + at + j] = gate_sum;
    parts[a.n[10] + at + w + j] = shift_sum;
}

// [E fours w]: a hidden layer beside what it was made from.
KERNEL(residual) {
    unsigned R = a.n[0], w = a.n[1], j = i % w, start = i / w % AHEADS(R) * AHEAD, e = i / w / AHEADS(R);
    float bias = F(3)[(Wide)e * a.n[2] + a.n[3] + j], sum[AHEAD];
    for (unsigned q = 0; q < AHEAD; q++) {
        unsigned place = (e * R + least(start + q, R - 1)) * w + j;
        sum[q] = silu(F(0)[place] + bias) + F(1)[place];
    }
    for (unsigned q = 0; q < AHEAD && start + q < R; q++) F(2)[(e * R + start + q) * w + j] = sum[q];
}

// [E chunks w]: back through SiLU, in place, with sums for the bias.
KERNEL(residual_back) {
    unsigned R = a.n[0], w = a.n[1], j = i % w, chunk = i / w % CHUNKS(R), e = i / w / CHUNKS(R);
    unsigned end = least(R, (chunk + 1) * CHUNK);
    float bias = F(2)[(Wide)e * a.n[2] + a.n[3] + j], sum = 0;
    for (unsigned start = chunk * CHUNK; start < end; start += AHEAD) {
        float x[AHEAD], back[AHEAD];
        for (unsigned q = 0; q < AHEAD; q++) {
            unsigned place = (e * R + least(start + q, R - 1)) * w + j;
            x[q] = F(0)[place] + bias;
            back[q] = F(1)[place];
        }
        for (unsigned q = 0; q < AHEAD && start + q < end; q++) {
            float by_x = back[q] * silu_slope(x[q]);
            F(0)[(e * R + start + q) * w + j] = by_x;
            sum += by_x;
        }
    }
    F(3)[(e * CHUNKS(R) + chunk) * a.n[4] + a.n[5] + j] = sum;
}

// [E R]: a row's cross-entropy; the logits' gradients take their places, both [E size Q].
KERNEL(cross_entropy) {
    unsigned R = a.n[0], size = a.n[1], Q = a.n[2], C = a.n[3], column = a.n[4], n = a.n[5], e = i / R, r = i % R;
    const float* bias = F(4) + (Wide)e * a.n[6] + a.n[7];
    float *logits = F(0) + (Wide)e * size * Q + r, most = -3e38f, sum = 0, own = 0;
    unsigned target = I(1)[i * C + column];
    float scale = r < n ? 1.0f / n : F(3)[e * KNOBS + 2] / (R - n);
    for (unsigned v = 0; v < size; v++) {
        float logit = logits[v * Q] + bias[v], more = fmaxf(most, logit);
        sum = sum * expf(most - more) + expf(logit - more);
        most = more;
        if (v == target) own = logit;
    }
    float loss = most + logf(sum) - own;
    for (unsigned v = 0; v < size; v++)
        logits[v * Q] = scale * (expf(logits[v * Q] + bias[v] - most) / sum - (v == target ? 1.0f : 0.0f));
    F(2)[i] = a.n[8] ? loss : F(2)[i] + loss;
}

// [E w chunks]: sums of the logits' gradients for a bias.
KERNEL(bias_part) {
    unsigned R = a.n[0], w = a.n[1], Q = a.n[2], chunk = i % CHUNKS(R), j = i / CHUNKS(R) % w, e = i / CHUNKS(R) / w;
    float sum = 0;
    for (unsigned r = chunk * CHUNK; r < least(R, (chunk + 1) * CHUNK); r++) sum += F(0)[(e * w + j) * Q + r];
    F(1)[(e * CHUNKS(R) + chunk) * a.n[3] + a.n[4] + j] = sum;
}

// [E B]: all biases' gradients from the sums of chunks.
KERNEL(bias_sum) {
    unsigned B = a.n[0], R = a.n[1], n = a.n[2], encoder = a.n[3], b = i % B, e = i / B;
    unsigned chunks = b < encoder ? CHUNKS(n) : CHUNKS(R);
    float sum = 0;
    for (unsigned chunk = 0; chunk < chunks; chunk++) sum += F(0)[(e * CHUNKS(R) + chunk) * B + b];
    F(2)[(Wide)e * a.n[4] + I(1)[b]] = sum;
}

// [E chunks Z]: back through the posterior: gradients by the encoder's outputs, [E n 2Z].
KERNEL(posterior_back) {
    unsigned N = a.n[0], n = a.n[1], Z = a.n[2], R = a.n[3], d = i % Z, chunk = i / Z % CHUNKS(n), e = i / Z / CHUNKS(n);
    float open = F(4)[e * KNOBS], slope = F(3)[e * Z + d], mu_sum = 0, raw_sum = 0;
    for (unsigned r = chunk * CHUNK; r < least(n, (chunk + 1) * CHUNK); r++) {
        const float* out = F(0) + (e * N + r) * 2 * Z;
        float mu = out[d], logvar = out[Z + d], back = open * F(1)[(e * n + r) * Z + d];
        float by_mu = back + slope * mu;
        float by_logvar = back * F(2)[(e * n + r) * Z + d] * 0.5f * expf(0.5f * logvar) + slope * 0.5f * (expf(logvar) - 1.0f);
        float by_raw = by_logvar * (1.0f - logvar / BOUND * (logvar / BOUND));
        F(5)[(e * n + r) * 2 * Z + d] = by_mu;
        F(5)[(e * n + r) * 2 * Z + Z + d] = by_raw;
        mu_sum += by_mu;
        raw_sum += by_raw;
    }
    float* parts = F(6) + (e * CHUNKS(R) + chunk) * a.n[4] + a.n[5];
    parts[d] = mu_sum;
    parts[Z + d] = raw_sum;
}

// [E chunks H]: gradients [E n H] times slopes [E N H]; with a bias, its sums.
KERNEL(slopes) {
    unsigned N = a.n[0], n = a.n[1], H = a.n[2], R = a.n[3], h = i % H, chunk = i / H % CHUNKS(n), e = i / H / CHUNKS(n);
    unsigned end = least(n, (chunk + 1) * CHUNK);
    float sum = 0;
    for (unsigned start = chunk * CHUNK; start < end; start += AHEAD) {
        float back[AHEAD];
        for (unsigned q = 0; q < AHEAD; q++) {
            unsigned r = least(start + q, n - 1);
            back[q] = F(0)[(e * n + r) * H + h] * F(1)[(e * N + r) * H + h];
        }
        for (unsigned q = 0; q < AHEAD && start + q < end; q++) {
            F(0)[(e * n + start + q) * H + h] = back[q];
            sum += back[q];
        }
    }
    if (a.n[5] >= 0) F(2)[(e * CHUNKS(R) + chunk) * a.n[4] + a.n[5] + h] = sum;
}

// [E chunks]: losses of chunks of the batch's rows, then of the others.
KERNEL(loss_part) {
    unsigned R = a.n[0], n = a.n[1], chunks = CHUNKS(n) + CHUNKS(R - n), e = i / chunks, chunk = i % chunks;
    unsigned from = chunk < CHUNKS(n) ? 0 : n, to = from ? R : n;
    unsigned start = from + (from ? chunk - CHUNKS(n) : chunk) * CHUNK;
    float sum = 0;
    for (unsigned r = start; r < least(to, start + CHUNK); r++) sum += F(0)[e * R + r];
    F(1)[i] = sum;
}

// [E]: the terms, [E 4]: loss, reconstruction, KL, reconstruction under z from the prior.
KERNEL(terms) {
    unsigned R = a.n[0], n = a.n[1], Z = a.n[2], open = a.n[3], chunks = CHUNKS(n) + CHUNKS(R - n);
    const float *parts = F(0) + i * chunks, *knobs = F(2) + i * KNOBS;
    float recon = 0, prior = 0, kl = 0, pressed = 0;
    for (unsigned chunk = 0; chunk < CHUNKS(n); chunk++) recon += parts[chunk];
    for (unsigned chunk = CHUNKS(n); chunk < chunks; chunk++) prior += parts[chunk];
    recon /= n;
    prior = R > n && knobs[2] > 0 ? prior / (R - n) : 0.0f;
    for (unsigned d = 0; open && d < Z; d++) {
        kl += F(1)[i * Z + d];
        pressed += fmaxf(F(1)[i * Z + d], knobs[3]);
    }
    F(3)[4 * i] = recon + knobs[0] * knobs[1] * pressed + knobs[2] * prior;
    F(3)[4 * i + 1] = recon;
    F(3)[4 * i + 2] = kl;
    F(3)[4 * i + 3] = prior;
}

// [E parts]: sums of squares of every parts-th entry.
KERNEL(norm_part) {
    unsigned L = a.n[0], parts = a.n[1];
    const float* gradient = F(0) + (Wide)(i / parts) * L;
    float sum = 0;
    for (unsigned place = i % parts; place < L; place += parts) sum += gradient[place] * gradient[place];
    F(1)[i] = sum;
}

// [..]: sums of so many entries each.
KERNEL(fold) {
    unsigned size = a.n[0];
    float sum = 0;
    for (unsigned place = 0; place < size; place++) sum += F(0)[i * size + place];
    F(1)[i] = sum;
}

// [E L]: clipping, decay and Adam.
KERNEL(adam) {
    unsigned L = a.n[0], e = i / L;
    const float* knobs = F(5) + e * KNOBS;
    float weight = F(0)[i] * (F(6)[i % L] > 0 ? knobs[5] : 1.0f);
    float gradient = F(1)[i] * fminf(1.0f, knobs[4] / (sqrtf(F(4)[e]) + 1e-12f));
    float first = F(2)[i] + 0.1f * (gradient - F(2)[i]);
    float second = F(3)[i] + knobs[6] * (gradient * gradient - F(3)[i]);
    F(2)[i] = first;
    F(3)[i] = second;
    F(0)[i] = weight - first * knobs[7] / (sqrtf(second * knobs[8]) + 1e-8f);
}

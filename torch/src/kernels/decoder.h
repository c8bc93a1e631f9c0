// The decoder: trunk, heads, cross-entropy; and back.

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

// The encoder: random numbers, posterior, KL, pairing; and back.

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

// [E m k p]: log density of a code under a candidate's posterior, less a constant, with the candidate's share.
KERNEL(density) {
    unsigned N = a.n[0], n = a.n[1], m = a.n[2], p = a.n[3], k = a.n[4], Z = a.n[5];
    unsigned j = i % p, code = i / p, list = code / k, e = list / m;
    const float *out = F(0) + (e * N + n + list % m * p + j) * 2 * Z, *z = F(1) + code * Z;
    float sum = 0;
    for (unsigned d = 0; d < Z; d++) {
        float distance = z[d] - out[d];
        sum += distance * distance * expf(-out[Z + d]) + out[Z + d];
    }
    F(2)[i] = F(3)[list * p + j] - 0.5f * sum;
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

// [E m p]: a candidate's log mass over the codes, in units of its share.
KERNEL(row_mass) {
    unsigned p = a.n[0], k = a.n[1], list = i / p;
    const float *density = F(0) + list * k * p + i % p, *code_mass = F(1) + list * k;
    float most = -3e38f, sum = 0;
    for (unsigned c = 0; c < k; c++) most = fmaxf(most, density[c * p] - code_mass[c]);
    for (unsigned c = 0; c < k; c++) sum += expf(density[c * p] - code_mass[c] - most);
    F(2)[i] = most + logf(sum) - F(3)[i];
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

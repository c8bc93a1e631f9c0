// Sums over rows: biases, terms, the gradient's norm; and the update.

// [E B]: all biases' gradients from the sums of chunks.
KERNEL(bias_sum) {
    unsigned B = a.n[0], R = a.n[1], n = a.n[2], encoder = a.n[3], b = i % B, e = i / B;
    unsigned chunks = b < encoder ? CHUNKS(n) : CHUNKS(R);
    float sum = 0;
    for (unsigned chunk = 0; chunk < chunks; chunk++) sum += F(0)[(e * CHUNKS(R) + chunk) * B + b];
    F(2)[(Wide)e * a.n[4] + I(1)[b]] = sum;
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

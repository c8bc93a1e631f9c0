// Numbers: base64, random numbers, distributions, principal axes.

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

// Little-endian numbers, whatever the machine's order.
function wordsOf(base64) {
  const view = new DataView(bytesOf(base64).buffer);
  return Uint16Array.from({ length: view.byteLength / 2 }, (_, i) => view.getUint16(2 * i, true));
}

function countsOf(base64) {
  const view = new DataView(bytesOf(base64).buffer);
  return Uint32Array.from({ length: view.byteLength / 4 }, (_, i) => view.getUint32(4 * i, true));
}

function floatsOf(base64) {
  const view = new DataView(bytesOf(base64).buffer);
  return Float32Array.from({ length: view.byteLength / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

// Seeded random numbers: uniform (mulberry32) and standard normal (Box and Muller 1958).
class Random {
  constructor(seed) {
    this.state = seed >>> 0;
    this.spare = null;
  }

  uniform() {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  normal() {
    if (this.spare !== null) {
      const spare = this.spare;
      this.spare = null;
      return spare;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }
}

// Mean absolute deviation of a binomial count from its mean (de Moivre 1730).
function binomialDeviation(n, p) {
  if (p <= 0 || p >= 1 || n === 0) return 0;
  const m = Math.floor(n * p) + 1;
  let log = Math.log(2 * m) + m * Math.log(p) + (n - m + 1) * Math.log(1 - p);
  for (let i = 1; i <= m; i++) log += Math.log((n - m + i) / i);
  return Math.exp(log);
}

// Eigenvectors of a symmetric matrix, largest eigenvalue first (Jacobi's rotations).
function eigenvectors(matrix) {
  const n = matrix.length;
  const a = matrix.map((row) => Array.from(row));
  const v = a.map((_, i) => a.map((_, j) => (i === j ? 1 : 0)));
  for (let sweep = 0; sweep < 60; sweep++) {
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        if (Math.abs(a[p][q]) < 1e-12) continue;
        const angle = 0.5 * Math.atan2(2 * a[p][q], a[q][q] - a[p][p]);
        const [c, s] = [Math.cos(angle), Math.sin(angle)];
        for (let k = 0; k < n; k++) [a[k][p], a[k][q]] = [c * a[k][p] - s * a[k][q], s * a[k][p] + c * a[k][q]];
        for (let k = 0; k < n; k++) [a[p][k], a[q][k]] = [c * a[p][k] - s * a[q][k], s * a[p][k] + c * a[q][k]];
        for (let k = 0; k < n; k++) [v[k][p], v[k][q]] = [c * v[k][p] - s * v[k][q], s * v[k][p] + c * v[k][q]];
      }
    }
  }
  const order = a.map((_, i) => i).sort((i, j) => a[j][j] - a[i][i]);
  return order.map((i) => v.map((row) => row[i]));
}

function principalAxes(points) {
  const n = points[0].length;
  const mean = points[0].map((_, i) => points.reduce((sum, point) => sum + point[i], 0) / points.length);
  const covariance = mean.map((_, i) =>
    mean.map((_, j) => points.reduce((sum, point) => sum + (point[i] - mean[i]) * (point[j] - mean[j]), 0) / points.length));
  return n ? eigenvectors(covariance) : [];
}

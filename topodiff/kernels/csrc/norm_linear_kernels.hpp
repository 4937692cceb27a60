// One pass over blocks of rows that stay in the second cache: normalise and activate, multiply, gather statistics; and
// the same backwards. Rows are cut into parts by their number alone, and parts are added in order: results do not
// depend on the number of threads.
#pragma once
#include "coface_kernels.hpp"  // with_activation
#include "gemm.hpp"
#include "norm_linear.hpp"
#include "scratch.hpp"
#include "split.hpp"

namespace topodiff {
namespace {

constexpr i64 kBlockRows = 96, kStripRows = 16, kRowsPerPart = 1024, kMaxParts = 8;

TOPODIFF_INLINE i64 num_parts(i64 rows) { return larger(1, smaller(kMaxParts, rows / kRowsPerPart)); }

// f(part, first row, last row) for all parts, in parallel.
template <class F>
void for_parts(i64 rows, int threads, F f) {
  const i64 parts = num_parts(rows);
  parallel(int(smaller(threads, parts)), parts, [&](i64 part, i64 all) { f(part, rows * part / all, rows * (part + 1) / all); });
}

template <class F>
TOPODIFF_INLINE void for_blocks(i64 first, i64 last, F f) {
  for (; first < last; first += kBlockRows) f(first, smaller(kBlockRows, last - first));
}

// f(first row, last row, vector of channels) over strips of rows that stay in the first cache.
template <class T, class F>
TOPODIFF_INLINE void for_strips(i64 rows, i64 channels, F f) {
  for (i64 row = 0; row < rows; row += kStripRows)
    small_pieces<T, kLanes<T>>(0, channels, [&](auto piece) { f(row, smaller(rows, row + kStripRows), piece); });
}

// z = x scale + shift, the normalisation of the input; identity without one.
template <class T>
struct InputNorm {
  i64 channels;
  const T *mean, *gamma;
  Scratch<T> scale, shift, rstd;

  explicit InputNorm(const NormLinearArgs& a)
      : channels(a.groups * a.in),
        mean(static_cast<const T*>(a.mean)),
        gamma(static_cast<const T*>(a.gamma)),
        scale(channels), shift(channels), rstd(channels) {
    const T *var = static_cast<const T*>(a.var), *beta = static_cast<const T*>(a.beta);
    for (i64 c = 0; c < channels; ++c) {
      rstd[c] = mean ? T(1 / __builtin_sqrt(double(var[c]) + a.eps)) : T(1);
      scale[c] = mean ? gamma[c] * rstd[c] : T(1);
      shift[c] = mean ? beta[c] - mean[c] * scale[c] : T(0);
    }
  }
};

// out = act(z) for a block of rows.
template <class T>
void apply(const InputNorm<T>& norm, int activation, const T* x, i64 rows, T* out) {
  const i64 C = norm.channels;
  with_activation(activation, [&](auto act) {
    for (i64 i = 0; i < rows; ++i)
      for_pieces<T, 4>(C, [&](auto piece) {
        using P = decltype(piece);
        using V = typename P::V;
        for (int k = 0; k < P::K; ++k) {
          const i64 c = piece.at + k * P::N;
          const V z = load<V>(x + i * C + c) * load<V>(norm.scale + c) + load<V>(norm.shift + c);
          store(out + i * C + c, activation_of<decltype(act)::value, V, T>(z));
        }
      });
  });
}

// dx = da act'(z) scale for a block, sums += over rows of (da act'(z), da act'(z) x_hat).
template <class T>
void apply_backward(const InputNorm<T>& norm, int activation, const T* x, const T* da, i64 rows, T* dx, T* sums) {
  const i64 C = norm.channels;
  with_activation(activation, [&](auto act) {
    for_strips<T>(rows, C, [&](i64 first, i64 last, auto piece) {
      using V = typename decltype(piece)::V;
      const i64 c = piece.at;
      const V scale = load<V>(norm.scale + c), shift = load<V>(norm.shift + c), rstd = load<V>(norm.rstd + c);
      const V mean = norm.mean ? load<V>(norm.mean + c) : V{};
      V sum = load<V>(sums + c), weighted = {};
      for (i64 i = first; i < last; ++i) {
        const V xi = load<V>(x + i * C + c);
        const V dz = load<V>(da + i * C + c) * derivative_of<decltype(act)::value, V, T>(xi * scale + shift);
        sum += dz;
        weighted += dz * (xi - mean);
        store(dx + i * C + c, dz * scale);
      }
      store(sums + c, sum);
      store(sums + C + c, load<V>(sums + C + c) + weighted * rstd);
    });
  });
}

// Gradients of the vectors of the normalisation from the sums of all parts.
template <class T>
void norm_gradients(const NormLinearArgs& a, const InputNorm<T>& norm, const double* sums, i64 parts, i64 stride) {
  if (!a.dgamma) return;
  const i64 C = norm.channels;
  for (i64 c = 0; c < C; ++c) {
    double sum = 0, weighted = 0;
    for (i64 part = 0; part < parts; ++part) sum += sums[stride * part + c], weighted += sums[stride * part + C + c];
    static_cast<T*>(a.dbeta)[c] = T(sum);
    static_cast<T*>(a.dgamma)[c] = T(weighted);
    static_cast<T*>(a.dmean)[c] = T(-norm.scale[c] * sum);
    static_cast<T*>(a.dvar)[c] = T(-0.5 * norm.rstd[c] * norm.rstd[c] * norm.gamma[c] * weighted);
  }
}

// Mean and sum of squared deviations, block by block (Chan et al. 1979): no cancellation for columns far from zero.
struct Moments {
  double count = 0, *mean, *m2;

  void merge(double n, const double* other_mean, const double* other_m2, i64 channels) {
    if (n == 0) return;
    const double total = count + n;
    for (i64 c = 0; c < channels; ++c) {
      const double d = other_mean[c] - mean[c];
      mean[c] += d * n / total;
      m2[c] += other_m2[c] + d * d * count * n / total;
    }
    count = total;
  }
};

// How many rows of the statistics each row stands for: itself alone without counts.
template <class T, bool Counted>
struct Rows {
  const T* count;

  template <class V>
  TOPODIFF_INLINE V times(V v, i64 i) const {
    if constexpr (Counted) return v * count[i];
    return v;
  }
  double in(i64 first, i64 last) const {
    if constexpr (!Counted) return double(last - first);
    double sum = 0;
    for (i64 i = first; i < last; ++i) sum += double(count[i]);
    return sum;
  }
};

template <class T, class F>
TOPODIFF_INLINE void with_rows(const NormLinearArgs& a, i64 first, F f) {
  if (a.count) f(Rows<T, true>{static_cast<const T*>(a.count) + first});
  else f(Rows<T, false>{});
}

// Column means and squared deviations of a block, mean and m2 one after the other; sums is room for as much.
template <class T, class R>
void block_moments(const T* y, i64 rows, R stands_for, double total, i64 C, T* sums, double* out) {
  __builtin_memset(sums, 0, 2 * C * sizeof(T));
  for_strips<T>(rows, C, [&](i64 first, i64 last, auto piece) {
    using V = typename decltype(piece)::V;
    V sum = load<V>(sums + piece.at);
    for (i64 i = first; i < last; ++i) sum += stands_for.times(load<V>(y + i * C + piece.at), i);
    store(sums + piece.at, last == rows ? sum / T(total) : sum);
  });
  for_strips<T>(rows, C, [&](i64 first, i64 last, auto piece) {
    using V = typename decltype(piece)::V;
    const V mean = load<V>(sums + piece.at);
    V m2 = load<V>(sums + C + piece.at);
    for (i64 i = first; i < last; ++i) {
      const V d = load<V>(y + i * C + piece.at) - mean;
      m2 += stands_for.times(d * d, i);
    }
    store(sums + C + piece.at, m2);
  });
  for (i64 c = 0; c < 2 * C; ++c) out[c] = sums[c];
}

// Weights of all groups, packed: transposed for the product with x, as they are for that with dy.
template <class T>
struct PackedWeight {
  i64 size;
  Scratch<T> panels;

  PackedWeight(const NormLinearArgs& a, bool transposed)
      : size(transposed ? packed_size<T>(a.in, a.out) : packed_size<T>(a.out, a.in)), panels(size * a.groups) {
    for (i64 g = 0; g < a.groups; ++g) {
      const T* w = static_cast<const T*>(a.weight) + g * a.out * a.in;
      if (transposed) pack(panels + g * size, a.in, a.out, w, 1, a.in);
      else pack(panels + g * size, a.out, a.in, w, a.in, 1);
    }
  }
};

TOPODIFF_INLINE bool acts_on_input(const NormLinearArgs& a) { return a.mean || a.activation != kIdentity; }

template <class T>
void norm_linear(const NormLinearArgs& a) {
  const i64 in = a.groups * a.in, out = a.groups * a.out, parts = num_parts(a.rows);
  const InputNorm<T> norm(a);
  const PackedWeight<T> weight(a, true);
  const T *x = static_cast<const T*>(a.x), *bias = static_cast<const T*>(a.bias);
  T* y = static_cast<T*>(a.y);
  Scratch<double> moments(parts * 2 * out), counts(parts);
  moments.zero(parts * 2 * out);
  for_parts(a.rows, a.threads, [&](i64 part, i64 first, i64 last) {
    Scratch<T> activated(acts_on_input(a) ? kBlockRows * in : 0);
    Scratch<double> block(2 * out);
    Scratch<T> sums(2 * out);
    Moments whole{0, moments + part * 2 * out, moments + part * 2 * out + out};
    for_blocks(first, last, [&](i64 row, i64 rows) {
      const T* input = x + row * in;
      if (acts_on_input(a)) apply(norm, a.activation, input, rows, activated.p), input = activated;
      Ahead ahead;
      const i64 next = smaller(kBlockRows, last - row - rows);
      ahead.add(x + (row + rows) * in, next * in);
      ahead.add(y + (row + rows) * out, next * out);
      ahead.over(a.groups * num_tiles<T>(rows, a.out));
      for (i64 g = 0; g < a.groups; ++g)
        multiply<T>(rows, a.out, a.in, input + g * a.in, in, 1, weight.panels + g * weight.size,
                    {y + row * out + g * a.out, out, bias ? bias + g * a.out : nullptr}, ahead);
      if (!a.y_mean) return;
      with_rows<T>(a, row, [&](auto stands_for) {
        const double total = stands_for.in(0, rows);
        block_moments(y + row * out, rows, stands_for, total, out, sums.p, block.p);
        whole.merge(total, block, block + out, out);
      });
    });
    counts[part] = whole.count;
  });
  if (!a.y_mean) return;
  Moments whole{counts[0], moments, moments + out};
  for (i64 part = 1; part < parts; ++part) {
    const double* other = moments + part * 2 * out;
    whole.merge(counts[part], other, other + out, out);
  }
  for (i64 c = 0; c < out; ++c) {
    static_cast<T*>(a.y_mean)[c] = T(whole.mean[c]);
    static_cast<T*>(a.y_var)[c] = T(whole.m2[c] / (whole.count ? whole.count : 1));
  }
}

// Column sums of a block added to sums.
template <class T>
void add_columns(const T* x, i64 rows, i64 C, T* sums) {
  for_strips<T>(rows, C, [&](i64 first, i64 last, auto piece) {
    using V = typename decltype(piece)::V;
    V sum = load<V>(sums + piece.at);
    for (i64 i = first; i < last; ++i) sum += load<V>(x + i * C + piece.at);
    store(sums + piece.at, sum);
  });
}

// dy plus what comes back through mean and variance, for a block of rows.
template <class T, class R>
void total_gradient(const NormLinearArgs& a, i64 row, i64 rows, R stands_for, T per_row, const T* dy, T* out) {
  const i64 C = a.groups * a.out;
  const T *y = static_cast<const T*>(a.y) + row * C, *mean = static_cast<const T*>(a.y_mean);
  const T *dmean = static_cast<const T*>(a.dy_mean), *dvar = static_cast<const T*>(a.dy_var);
  for_strips<T>(rows, C, [&](i64 first, i64 last, auto piece) {
    using V = typename decltype(piece)::V;
    const i64 c = piece.at;
    const V m = load<V>(mean + c), same = load<V>(dmean + c) * per_row, slope = load<V>(dvar + c) * (2 * per_row);
    for (i64 i = first; i < last; ++i)
      store(out + i * C + c,
            load<V>(dy + i * C + c) + stands_for.times(same + (load<V>(y + i * C + c) - m) * slope, i));
  });
}

// What one part needs: blocks of the gradient, the activated input and its gradient.
template <class T>
struct BackwardBlocks {
  const NormLinearArgs& a;
  const InputNorm<T>& norm;
  const PackedWeight<T>& weight;
  const T per_row;  // 1 / rows of the statistics
  i64 in = a.groups * a.in, out = a.groups * a.out;
  Scratch<T> dy{a.y_mean ? kBlockRows * out : 0}, activated{kBlockRows * in}, da{kBlockRows * in};
  Scratch<T> panels{packed_size<T>(kBlockRows, a.in)}, sums{out + 2 * in};
  Ahead ahead;

  // The part of the next block in every array.
  void look_ahead(i64 row, i64 rows) {
    ahead = Ahead();
    ahead.add(static_cast<const T*>(a.dy) + row * out, rows * out);
    if (a.y_mean) ahead.add(static_cast<const T*>(a.y) + row * out, rows * out);
    ahead.add(static_cast<const T*>(a.x) + row * in, rows * in);
    if (a.dx) ahead.add(static_cast<const T*>(a.dx) + row * in, rows * in);
    const i64 tiles = (a.dweight ? num_tiles<T>(a.out, a.in) : 0) + (a.dx ? num_tiles<T>(kBlockRows, a.in) : 0);
    ahead.over(a.groups * tiles);
  }

  void weight_gradient(const T* grad, const T* input, i64 rows, T* dweight) {
    for (i64 g = 0; g < a.groups; ++g) {
      pack(panels.p, rows, a.in, input + g * a.in, in, 1);
      multiply<T>(a.out, a.in, rows, grad + g * a.out, 1, out, panels,
                  {dweight + g * a.out * a.in, a.in, nullptr, true}, ahead);
    }
  }

  void input_gradient(const T* grad, i64 rows, T* target) {
    for (i64 g = 0; g < a.groups; ++g)
      multiply<T>(rows, a.in, a.out, grad + g * a.out, out, 1, weight.panels + g * weight.size,
                  {target + g * a.in, in}, ahead);
  }

  // totals: column sums of dy, then those of apply_backward
  void run(i64 row, i64 rows, T* dweight, double* totals) {
    sums.zero(out + 2 * in);
    gradients(row, rows, dweight);
    for (i64 c = 0; c < out + 2 * in; ++c) totals[c] += sums[c];
  }

  void gradients(i64 row, i64 rows, T* dweight) {
    const T *x = static_cast<const T*>(a.x) + row * in, *grad = static_cast<const T*>(a.dy) + row * out;
    if (a.y_mean) {
      with_rows<T>(a, row, [&](auto stands_for) { total_gradient(a, row, rows, stands_for, per_row, grad, dy.p); });
      grad = dy;
    }
    if (a.dbias) add_columns(grad, rows, out, sums.p);
    if (dweight) {
      const T* input = x;
      if (acts_on_input(a)) apply(norm, a.activation, x, rows, activated.p), input = activated;
      weight_gradient(grad, input, rows, dweight);
    }
    if (!a.dx) return;
    T* dx = static_cast<T*>(a.dx) + row * in;
    input_gradient(grad, rows, acts_on_input(a) ? da.p : dx);
    if (acts_on_input(a)) apply_backward(norm, a.activation, x, da.p, rows, dx, sums + out);
  }
};

// out[n] = sum over parts of values[n], which lie `stride` apart.
template <class T, class S>
void add_parts(const S* values, i64 parts, i64 stride, i64 size, T* out) {
  if (!out) return;
  for (i64 n = 0; n < size; ++n) {
    S sum = 0;
    for (i64 part = 0; part < parts; ++part) sum += values[part * stride + n];
    out[n] = T(sum);
  }
}

template <class T>
void norm_linear_backward(const NormLinearArgs& a) {
  const i64 in = a.groups * a.in, out = a.groups * a.out, parts = num_parts(a.rows);
  const i64 weights = a.dweight ? out * a.in : 0, columns = out + 2 * in;
  const InputNorm<T> norm(a);
  const PackedWeight<T> weight(a, false);
  Scratch<T> dweight(parts * weights);
  Scratch<double> totals(parts * columns);
  dweight.zero(parts * weights), totals.zero(parts * columns);
  double counted = 0;
  with_rows<T>(a, 0, [&](auto stands_for) { counted = stands_for.in(0, a.rows); });
  for_parts(a.rows, a.threads, [&](i64 part, i64 first, i64 last) {
    BackwardBlocks<T> blocks{a, norm, weight, T(1 / counted)};
    for_blocks(first, last, [&](i64 row, i64 rows) {
      blocks.look_ahead(row + rows, smaller(kBlockRows, last - row - rows));
      blocks.run(row, rows, weights ? dweight + part * weights : nullptr, totals + part * columns);
    });
  });
  add_parts(dweight.p, parts, weights, weights, static_cast<T*>(a.dweight));
  add_parts(totals.p, parts, columns, out, static_cast<T*>(a.dbias));
  norm_gradients(a, norm, totals + out, parts, columns);
}

template <class T>
void norm_activation(const NormLinearArgs& a) {
  const InputNorm<T> norm(a);
  const i64 C = norm.channels;
  for_parts(a.rows, a.threads, [&](i64, i64 first, i64 last) {
    apply(norm, a.activation, static_cast<const T*>(a.x) + first * C, last - first, static_cast<T*>(a.y) + first * C);
  });
}

template <class T>
void norm_activation_backward(const NormLinearArgs& a) {
  const InputNorm<T> norm(a);
  const i64 C = norm.channels, parts = num_parts(a.rows);
  Scratch<double> totals(parts * 2 * C);
  totals.zero(parts * 2 * C);
  for_parts(a.rows, a.threads, [&](i64 part, i64 first, i64 last) {
    Scratch<T> sums(2 * C);
    for_blocks(first, last, [&](i64 row, i64 rows) {
      sums.zero(2 * C);
      apply_backward(norm, a.activation, static_cast<const T*>(a.x) + row * C, static_cast<const T*>(a.dy) + row * C,
                     rows, static_cast<T*>(a.dx) + row * C, sums.p);
      for (i64 c = 0; c < 2 * C; ++c) totals[part * 2 * C + c] += sums[c];
    });
  });
  norm_gradients(a, norm, totals.p, parts, 2 * C);
}

constexpr NormLinearTable kNormLinearTable = {{
    {norm_linear<float>, norm_linear<double>},
    {norm_linear_backward<float>, norm_linear_backward<double>},
    {norm_activation<float>, norm_activation<double>},
    {norm_activation_backward<float>, norm_activation_backward<double>},
}};

}  // namespace
}  // namespace topodiff

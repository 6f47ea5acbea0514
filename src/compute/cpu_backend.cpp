#include "compute/cpu_backend.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <tuple>
#include <utility>
#include <vector>

#include "base/vectorise.hpp"
#include "compute/activation.hpp"
#include "compute/cross_entropy.hpp"
#include "compute/norm.hpp"
#include "compute/products.hpp"
#include "compute/softmax.hpp"
#include "compute/thread_pool.hpp"
#include "compute/wide_values.hpp"

namespace tpbench {
namespace {

TPBENCH_VECTORISE void add_row(const float* a, const float* b, float* sum, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) sum[i] = a[i] + b[i];
}
TPBENCH_VECTORISE void add_row(const double* a, const double* b, double* sum, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) sum[i] = a[i] + b[i];
}

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(const BackendNeeds& needs)
      : memory_(needs.huge_pages ? take_huge_pages : take_host_pages),
        products_(
            find_library(needs.library)->make({needs.threads, needs.packs_weights ? &memory_ : nullptr})),
        pool_(products_->threads()) {}  // the library may allow fewer than asked for

  int threads() const override { return products_->threads(); }
  TrackedMemory& memory() override { return memory_; }
  ProductFacts product_facts() const override { return products_->facts(); }

  void multiply(const Factor& a, const Factor& b, const MatrixStack& c, Store store) override {
    products_->multiply(a, b, c, store);
  }

  void gelu(const MatrixView& x, const MatrixView& y) override {
    dispatch(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_blocks<T>(x.rows, x.columns, [&](std::int64_t row, std::int64_t first, std::int64_t count) {
        const Read<T> in(0, at<T>(x, row) + first, count);
        const Written<T> out(1, at<T>(y, row) + first, count);
        gelu_row(in.data(), out.data(), count);
      });
    });
  }

  void swiglu(const MatrixView& x, const MatrixView& y) override {
    const std::int64_t half = x.columns / 2;
    dispatch(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_blocks<T>(x.rows, half, [&](std::int64_t row, std::int64_t first, std::int64_t count) {
        T* gate_at = at<T>(x, row) + first;
        const Read<T> gate(0, gate_at, count), up(1, gate_at + half, count);
        const Written<T> out(2, at<T>(y, row) + first, count);
        swiglu_row(gate.data(), up.data(), out.data(), count);
      });
    });
  }

  void gelu_backward(const MatrixView& x, const MatrixView& dy, const MatrixView& dx) override {
    dispatch(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_blocks<T>(x.rows, x.columns, [&](std::int64_t row, std::int64_t first, std::int64_t count) {
        const Read<T> in(0, at<T>(x, row) + first, count), gradient(1, at<T>(dy, row) + first, count);
        const Written<T> out(2, at<T>(dx, row) + first, count);
        gelu_backward_row(in.data(), gradient.data(), out.data(), count);
      });
    });
  }

  void swiglu_backward(const MatrixView& x, const MatrixView& dy, const MatrixView& dx) override {
    const std::int64_t half = x.columns / 2;
    dispatch(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_blocks<T>(x.rows, half, [&](std::int64_t row, std::int64_t first, std::int64_t count) {
        T *gate_at = at<T>(x, row) + first, *dgate_at = at<T>(dx, row) + first;
        const Read<T> gate(0, gate_at, count), up(1, gate_at + half, count),
            gradient(2, at<T>(dy, row) + first, count);
        const Written<T> dgate(3, dgate_at, count), dup(4, dgate_at + half, count);
        swiglu_backward_row(gate.data(), up.data(), gradient.data(), dgate.data(), dup.data(), count);
      });
    });
  }

  void norm(Norm kind, const MatrixView& x, const MatrixView& parameters, const MatrixView& y) override {
    dispatch(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      share(x.rows, x.elements(), [&](std::int64_t first, std::int64_t last) {
        const Read<T> gain(0, at<T>(parameters, 0), x.columns),
            shift(1, shift_of<T>(kind, parameters), x.columns);
        for (std::int64_t row = first; row < last; ++row) {
          const Read<T> in(2, at<T>(x, row), x.columns);
          const Written<T> out(3, at<T>(y, row), x.columns);
          norm_row(in.data(), scale_of(kind, in.data(), x.columns), gain.data(), shift.data(), out.data(),
                   x.columns);
        }
      });
    });
  }

  void norm_backward(Norm kind, const MatrixView& x, const MatrixView& parameters, const MatrixView& dy,
                     const MatrixView& dx, const MatrixView& dparameters) override {
    set_zero(dparameters);
    dispatch(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      auto& scales = std::get<std::vector<RowScale<Computed<T>>>>(row_scales_);
      scales.resize(static_cast<std::size_t>(x.rows));
      share(x.rows, x.elements(), [&](std::int64_t first, std::int64_t last) {
        const Read<T> gain(0, at<T>(parameters, 0), x.columns);
        for (std::int64_t row = first; row < last; ++row) {
          const Read<T> in(1, at<T>(x, row), x.columns), gradient(2, at<T>(dy, row), x.columns);
          const Changed<T> out(3, at<T>(dx, row), x.columns);
          const auto scale = scale_of(kind, in.data(), x.columns);
          scales[static_cast<std::size_t>(row)] = scale;
          norm_backward_row(in.data(), scale, gain.data(), kind == Norm::layer_norm, gradient.data(),
                            out.data(), x.columns);
        }
      });
      // Each thread sums its own columns over all rows.
      T* dshift_at = shift_of<T>(kind, dparameters);
      share(x.columns, x.elements(), [&](std::int64_t first, std::int64_t last) {
        const std::int64_t count = last - first;
        const Changed<T> dgain(0, at<T>(dparameters, 0) + first, count),
            dshift(1, dshift_at == nullptr ? nullptr : dshift_at + first, count);
        for (std::int64_t row = 0; row < x.rows; ++row) {
          const Read<T> in(2, at<T>(x, row) + first, count), gradient(3, at<T>(dy, row) + first, count);
          add_norm_gradients(in.data(), scales[static_cast<std::size_t>(row)], gradient.data(), dgain.data(),
                             dshift.data(), count);
        }
      });
    });
  }

  void softmax(const MatrixView& x, const Visible& visible, double scale) override {
    dispatch(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_rows(x, [&](std::int64_t row) {
        const Changed<T> values(0, at<T>(x, row), x.columns);
        softmax_row(values.data(), visible.of_row(row), x.columns, scale);
      });
    });
  }

  void softmax_backward(const MatrixView& p, const MatrixView& dp, double scale) override {
    dispatch(p.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_rows(p, [&](std::int64_t row) {
        const Read<T> weights(0, at<T>(p, row), p.columns);
        const Changed<T> gradient(1, at<T>(dp, row), p.columns);
        softmax_backward_row(weights.data(), gradient.data(), p.columns, scale);
      });
    });
  }

  void look_up(const TokenIds& ids, const MatrixView& table, const MatrixView& y) override {
    products_->is_read(table);
    const std::int64_t size = size_of(y.dtype);
    for_row_pieces(y.rows, y.columns, [&](std::int64_t row, std::int64_t first, std::int64_t last) {
      std::byte* target = static_cast<std::byte*>(y.row(row)) + first * size;
      const auto bytes = static_cast<std::size_t>((last - first) * size);
      const std::int64_t place = ids.place_of(ids.data[row]);
      if (place < 0)
        std::memset(target, 0, bytes);
      else
        std::memcpy(target, static_cast<const std::byte*>(table.row(place)) + first * size, bytes);
    });
  }

  // Each thread adds its own columns of all tokens: those of one id one after the other, so that a sum is
  // rounded to the type once.
  void look_up_backward(const TokenIds& ids, const MatrixView& dy, const MatrixView& dtable,
                        Store store) override {
    if (store == Store::overwrite) set_zero(dtable);
    sort_by_place(ids);
    dispatch(dy.dtype, [&](auto zero) {
      using T = decltype(zero);
      share(dy.columns, dy.elements(), [&](std::int64_t first, std::int64_t last) {
        for (std::size_t i = 0; i < by_place_.size();) {
          const std::int64_t place = by_place_[i].first;
          const Changed<T> sum(0, at<T>(dtable, place) + first, last - first);
          for (; i < by_place_.size() && by_place_[i].first == place; ++i) {
            const Read<T> row(1, at<T>(dy, by_place_[i].second) + first, last - first);
            add_row(sum.data(), row.data(), sum.data(), last - first);
          }
        }
      });
    });
  }

  void row_maxima(const TokenIds& ids, const MatrixView& x, const MatrixView& maxima) override {
    dispatch(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      using C = Computed<T>;
      for_rows(x, [&](std::int64_t row) {
        const Read<T> values(0, at<T>(x, row), ids.held);
        at<C>(maxima, 0)[row] = largest_of(values.data(), ids.held, C(kLeastLogit));
      });
    });
  }

  void exponentials(const TokenIds& ids, const MatrixView& x, const MatrixView& maxima,
                    const MatrixView& sums, const MatrixView& targets) override {
    dispatch(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      using C = Computed<T>;
      for_rows(x, [&](std::int64_t row) {
        const Changed<T> values(0, at<T>(x, row), x.columns);
        const C largest = at<C>(maxima, 0)[row];
        const std::int64_t place = ids.place_of(ids.data[row]);
        at<C>(targets, 0)[row] = place < 0 ? C(0) : values.data()[place] - largest;
        at<C>(sums, 0)[row] = exponentials_row(values.data(), ids.held, largest);
        std::fill(values.data() + ids.held, values.data() + x.columns, C(0));
      });
    });
  }

  void cross_entropy(const MatrixView& sums, const MatrixView& targets, const MatrixView& loss) override {
    dispatch_computed(loss.dtype, [&](auto zero) {
      using T = decltype(zero);
      for (std::int64_t r = 0; r < loss.columns; ++r)
        at<T>(loss, 0)[r] = std::log(at<T>(sums, 0)[r]) - at<T>(targets, 0)[r];
    });
  }

  void cross_entropy_backward(const TokenIds& ids, const MatrixView& sums, const MatrixView& x) override {
    dispatch(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      using C = Computed<T>;
      for_rows(x, [&](std::int64_t row) {
        const Changed<T> values(0, at<T>(x, row), ids.held);
        scale_row(values.data(), ids.held, C(1) / at<C>(sums, 0)[row]);
        const std::int64_t place = ids.place_of(ids.data[row]);
        if (place >= 0) values.data()[place] -= C(1);
      });
    });
  }

  void add(const MatrixView& a, const MatrixView& b, const MatrixView& sum) override {
    dispatch(a.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_blocks<T>(a.rows, a.columns, [&](std::int64_t row, std::int64_t first, std::int64_t count) {
        const Read<T> left(0, at<T>(a, row) + first, count), right(1, at<T>(b, row) + first, count);
        const Written<T> out(2, at<T>(sum, row) + first, count);
        add_row(left.data(), right.data(), out.data(), count);
      });
    });
  }

  void copy(const MatrixView& from, const MatrixView& to) override {
    products_->is_read(from);
    products_->has_changed(to);
    const std::int64_t size = size_of(from.dtype);
    for_row_pieces(from.rows, from.columns, [&](std::int64_t row, std::int64_t first, std::int64_t last) {
      std::memcpy(static_cast<std::byte*>(to.row(row)) + first * size,
                  static_cast<const std::byte*>(from.row(row)) + first * size,
                  static_cast<std::size_t>((last - first) * size));
    });
  }

  void set_zero(const MatrixView& x) override {
    products_->has_changed(x);
    const std::int64_t size = size_of(x.dtype);
    for_row_pieces(x.rows, x.columns, [&](std::int64_t row, std::int64_t first, std::int64_t last) {
      std::memset(static_cast<std::byte*>(x.row(row)) + first * size, 0,
                  static_cast<std::size_t>((last - first) * size));
    });
  }

  void fill(const MatrixView& x, const TensorKey& key, std::int64_t row, std::int64_t column) override {
    products_->has_changed(x);
    pool_.parallel_for(
        x.rows, [&](std::int64_t first, std::int64_t last) { fill_rows(x, key, row, column, first, last); });
  }

  void poison(const MatrixView& x) override {
    products_->has_changed(x);
    tpbench::poison(x);
  }

  MatrixView host_view(const MatrixView& x, std::vector<std::byte>& scratch) override {
    return products_->rows_of(x, scratch);
  }

  void parallel_for(std::int64_t count,
                    const std::function<void(std::int64_t, std::int64_t)>& body) override {
    pool_.parallel_for(count, body);
  }

  bool flush_caches() override {
    bool flushed = true;
    memory_.for_each_block(
        [&](const void* data, std::int64_t bytes) { flushed = flush_from_caches(data, bytes) && flushed; });
    return flushed;
  }

 private:
  template <typename T>
  static T* at(const MatrixView& x, std::int64_t row) {
    return static_cast<T*>(x.row(row));
  }
  template <typename T>
  static T* shift_of(Norm kind, const MatrixView& parameters) {
    return kind == Norm::layer_norm ? at<T>(parameters, 1) : nullptr;
  }
  template <typename C>
  static RowScale<C> scale_of(Norm kind, const C* row, std::int64_t count) {
    return kind == Norm::layer_norm ? layer_scale(row, count) : rms_scale(row, count);
  }

  void sort_by_place(const TokenIds& ids) {
    by_place_.clear();
    for (std::int64_t token = 0; token < ids.count; ++token) {
      const std::int64_t place = ids.place_of(ids.data[token]);
      if (place >= 0) by_place_.emplace_back(place, token);
    }
    std::sort(by_place_.begin(), by_place_.end());
  }

  // Calls `body(first, last)` over pieces of [0, count), on all threads when there is enough work for that.
  template <typename Body>
  void share(std::int64_t count, std::int64_t elements, const Body& body) {
    constexpr std::int64_t kWorthWaking =
        1 << 14;  // below this many elements waking a thread costs more than it brings
    if (elements < kWorthWaking)
      body(std::int64_t{0}, count);
    else
      pool_.parallel_for(count, std::cref(body));  // a function that holds a copy may allocate
  }

  template <typename Body>
  void for_rows(const MatrixView& x, const Body& body) {
    share(x.rows, x.elements(), [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t row = first; row < last; ++row) body(row);
    });
  }

  // Calls `body(row, first, last)` so that every element of a [rows, columns] array is covered once, shared
  // over the threads by elements: one long row is shared as well as many short ones.
  template <typename Body>
  void for_row_pieces(std::int64_t rows, std::int64_t columns, const Body& body) {
    share(rows * columns, rows * columns, [&](std::int64_t begin, std::int64_t end) {
      while (begin < end) {
        const std::int64_t row = begin / columns, first = begin % columns;
        const std::int64_t last = std::min(columns, first + end - begin);
        body(row, first, last);
        begin += last - first;
      }
    });
  }

  // The same as `body(row, first, count)`; of types that are computed in f32 beside the tensor in blocks that
  // stay in the first-level cache.
  template <typename T, typename Body>
  void for_blocks(std::int64_t rows, std::int64_t columns, const Body& body) {
    constexpr std::int64_t kBlock = 1024;
    for_row_pieces(rows, columns, [&](std::int64_t row, std::int64_t first, std::int64_t last) {
      const std::int64_t longest = std::is_same_v<T, Computed<T>> ? last - first : kBlock;
      for (; first < last; first += longest) body(row, first, std::min(longest, last - first));
    });
  }

  TrackedMemory memory_;
  std::unique_ptr<Products> products_;  // goes before what it has packed into
  ThreadPool pool_;
  // Kept from one call to the next, so that a step allocates nothing.
  std::tuple<std::vector<RowScale<float>>, std::vector<RowScale<double>>> row_scales_;
  std::vector<std::pair<std::int64_t, std::int64_t>> by_place_;  // places in a table and the tokens there
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(const BackendNeeds& needs) {
  if (find_library(needs.library) == nullptr) throw std::logic_error("no library " + needs.library);
  return std::make_unique<CpuBackend>(needs);
}

std::unique_ptr<Backend> make_cpu_backend(int threads) { return make_cpu_backend({.threads = threads}); }

}  // namespace tpbench

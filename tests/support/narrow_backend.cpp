#include "narrow_backend.hpp"

#include <bit>
#include <tuple>
#include <vector>

#include "compute/cpu_backend.hpp"
#include "compute/forwarding_backend.hpp"

namespace tpbench::test {
namespace {

/// A matrix in f32, without gaps: what a narrow one holds, or what it is to hold.
class Wide {
 public:
  explicit Wide(const MatrixView& narrow)
      : values_(static_cast<std::size_t>(narrow.elements())),
        view_{values_.data(), DType::f32, narrow.rows, narrow.columns, narrow.columns} {
    for (std::int64_t r = 0; r < narrow.rows; ++r) {
      dispatch(narrow.dtype, [&](auto zero) {
        const auto* row = static_cast<const decltype(zero)*>(narrow.row(r));
        for (std::int64_t c = 0; c < narrow.columns; ++c) at(r)[c] = static_cast<float>(row[c]);
      });
    }
  }
  Wide(const Wide&) = delete;
  Wide& operator=(const Wide&) = delete;

  [[nodiscard]] const MatrixView& view() const { return view_; }

  void store(const MatrixView& narrow) const {
    for (std::int64_t r = 0; r < narrow.rows; ++r) {
      dispatch(narrow.dtype, [&](auto zero) {
        using T = decltype(zero);
        auto* row = static_cast<T*>(narrow.row(r));
        for (std::int64_t c = 0; c < narrow.columns; ++c) row[c] = T(at(r)[c]);
      });
    }
  }

  void cut_to_tf32() {
    for (float& value : values_)
      value = std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) & 0xffffe000U);
  }

 private:
  [[nodiscard]] float* at(std::int64_t row) const { return static_cast<float*>(view_.row(row)); }

  std::vector<float> values_;
  MatrixView view_;
};

class NarrowBackend final : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;

  void multiply(const Factor& a, const Factor& b, const MatrixStack& c, Store store) override {
    if (!is_narrow(c.first.dtype)) return ForwardingBackend::multiply(a, b, c, store);
    for (std::int64_t i = 0; i < c.count; ++i) multiply_narrow(a.at(i), b.at(i), c.at(i), store);
  }

  void gelu(const MatrixView& x, const MatrixView& y) override {
    in_f32([&](auto... wide) { ForwardingBackend::gelu(wide...); }, y, x, y);
  }
  void swiglu(const MatrixView& x, const MatrixView& y) override {
    in_f32([&](auto... wide) { ForwardingBackend::swiglu(wide...); }, y, x, y);
  }
  void gelu_backward(const MatrixView& x, const MatrixView& dy, const MatrixView& dx) override {
    in_f32([&](auto... wide) { ForwardingBackend::gelu_backward(wide...); }, dx, x, dy, dx);
  }
  void swiglu_backward(const MatrixView& x, const MatrixView& dy, const MatrixView& dx) override {
    in_f32([&](auto... wide) { ForwardingBackend::swiglu_backward(wide...); }, dx, x, dy, dx);
  }

  void norm(Norm kind, const MatrixView& x, const MatrixView& parameters, const MatrixView& y) override {
    in_f32([&](auto... wide) { ForwardingBackend::norm(kind, wide...); }, y, x, parameters, y);
  }
  void norm_backward(Norm kind, const MatrixView& x, const MatrixView& parameters, const MatrixView& dy,
                     const MatrixView& dx, const MatrixView& dparameters) override {
    if (!is_narrow(x.dtype))
      return ForwardingBackend::norm_backward(kind, x, parameters, dy, dx, dparameters);
    const Wide wide_x(x), wide_parameters(parameters), wide_dy(dy), wide_dx(dx), sums(dparameters);
    ForwardingBackend::norm_backward(kind, wide_x.view(), wide_parameters.view(), wide_dy.view(),
                                     wide_dx.view(), sums.view());
    wide_dx.store(dx);
    sums.store(dparameters);
  }

  void softmax(const MatrixView& x, const Visible& visible, double scale) override {
    in_f32([&](auto wide) { ForwardingBackend::softmax(wide, visible, scale); }, x, x);
  }
  void softmax_backward(const MatrixView& p, const MatrixView& dp, double scale) override {
    in_f32([&](auto... wide) { ForwardingBackend::softmax_backward(wide..., scale); }, dp, p, dp);
  }
  // A look-up copies, whatever the type.
  void look_up_backward(const TokenIds& ids, const MatrixView& dy, const MatrixView& dtable,
                        Store store) override {
    in_f32([&](auto... wide) { ForwardingBackend::look_up_backward(ids, wide..., store); }, dtable, dy,
           dtable);
  }
  void row_maxima(const TokenIds& ids, const MatrixView& x, const MatrixView& maxima) override {
    if (!is_narrow(x.dtype)) return ForwardingBackend::row_maxima(ids, x, maxima);
    const Wide wide(x);
    ForwardingBackend::row_maxima(ids, wide.view(), maxima);
  }
  void exponentials(const TokenIds& ids, const MatrixView& x, const MatrixView& maxima,
                    const MatrixView& sums, const MatrixView& targets) override {
    in_f32([&](auto wide) { ForwardingBackend::exponentials(ids, wide, maxima, sums, targets); }, x, x);
  }
  void cross_entropy_backward(const TokenIds& ids, const MatrixView& sums, const MatrixView& x) override {
    in_f32([&](auto wide) { ForwardingBackend::cross_entropy_backward(ids, sums, wide); }, x, x);
  }
  void add(const MatrixView& a, const MatrixView& b, const MatrixView& sum) override {
    in_f32([&](auto... wide) { ForwardingBackend::add(wide...); }, sum, a, b, sum);
  }

 private:
  void multiply_narrow(const Factor& a, const Factor& b, const MatrixView& c, Store store) {
    Wide wide_a(a.matrix), wide_b(b.matrix);
    if (c.dtype == DType::tf32) {
      wide_a.cut_to_tf32();
      wide_b.cut_to_tf32();
    }
    const Wide result(c);
    ForwardingBackend::multiply({wide_a.view(), a.transposed}, {wide_b.view(), b.transposed}, result.view(),
                                store);
    result.store(c);
  }

  template <typename>
  using WideOf = Wide;

  // Runs `operation` on the operands, or on operands in f32, of which the last is then stored as `result`.
  template <typename Operation, typename... Operands>
  void in_f32(const Operation& operation, const MatrixView& result, const Operands&... operands) {
    if (!is_narrow(result.dtype)) return operation(operands...);
    const std::tuple<WideOf<Operands>...> wide(operands...);
    std::apply([&](const auto&... each) { operation(each.view()...); }, wide);
    std::get<sizeof...(operands) - 1>(wide).store(result);
  }
};

}  // namespace

std::unique_ptr<Backend> make_narrow_backend(int threads) {
  return std::make_unique<NarrowBackend>(make_cpu_backend(threads));
}

Parts narrow_parts() {
  Parts parts = built_in_parts();
  parts.make_backend = [](const std::string&, int threads) { return make_narrow_backend(threads); };
  return parts;
}

}  // namespace tpbench::test

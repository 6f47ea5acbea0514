#include "narrow_backend.hpp"

#include <bit>
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
};

}  // namespace

std::unique_ptr<Backend> make_narrow_backend(int threads) {
  return std::make_unique<NarrowBackend>(make_cpu_backend(threads));
}

Parts narrow_parts() {
  Parts parts = built_in_parts();
  parts.make_backend = [](const BackendNeeds& needs) { return make_narrow_backend(needs.threads); };
  return parts;
}

}  // namespace tpbench::test

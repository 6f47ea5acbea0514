#pragma once

#include <memory>
#include <utility>

#include "compute/backend.hpp"

namespace tpbench {

/// A backend that hands every call on: decorators override what they look at.
class ForwardingBackend : public Backend {
 public:
  explicit ForwardingBackend(std::unique_ptr<Backend> inner) : inner_(std::move(inner)) {}

  int threads() const override { return inner_->threads(); }
  TrackedMemory& memory() override { return inner_->memory(); }
  void multiply(const Factor& a, const Factor& b, const MatrixStack& c, Store store) override {
    inner_->multiply(a, b, c, store);
  }
  ProductFacts product_facts() const override { return inner_->product_facts(); }
  void gelu(const MatrixView& x, const MatrixView& y) override { inner_->gelu(x, y); }
  void swiglu(const MatrixView& x, const MatrixView& y) override { inner_->swiglu(x, y); }
  void gelu_backward(const MatrixView& x, const MatrixView& dy, const MatrixView& dx) override {
    inner_->gelu_backward(x, dy, dx);
  }
  void swiglu_backward(const MatrixView& x, const MatrixView& dy, const MatrixView& dx) override {
    inner_->swiglu_backward(x, dy, dx);
  }
  void norm(Norm kind, const MatrixView& x, const MatrixView& parameters, const MatrixView& y) override {
    inner_->norm(kind, x, parameters, y);
  }
  void norm_backward(Norm kind, const MatrixView& x, const MatrixView& parameters, const MatrixView& dy,
                     const MatrixView& dx, const MatrixView& dparameters) override {
    inner_->norm_backward(kind, x, parameters, dy, dx, dparameters);
  }
  void softmax(const MatrixView& x, const Visible& visible, double scale) override {
    inner_->softmax(x, visible, scale);
  }
  void softmax_backward(const MatrixView& p, const MatrixView& dp, double scale) override {
    inner_->softmax_backward(p, dp, scale);
  }
  void look_up(const TokenIds& ids, const MatrixView& table, const MatrixView& y) override {
    inner_->look_up(ids, table, y);
  }
  void look_up_backward(const TokenIds& ids, const MatrixView& dy, const MatrixView& dtable,
                        Store store) override {
    inner_->look_up_backward(ids, dy, dtable, store);
  }
  void row_maxima(const TokenIds& ids, const MatrixView& x, const MatrixView& maxima) override {
    inner_->row_maxima(ids, x, maxima);
  }
  void exponentials(const TokenIds& ids, const MatrixView& x, const MatrixView& maxima,
                    const MatrixView& sums, const MatrixView& targets) override {
    inner_->exponentials(ids, x, maxima, sums, targets);
  }
  void cross_entropy(const MatrixView& sums, const MatrixView& targets, const MatrixView& loss) override {
    inner_->cross_entropy(sums, targets, loss);
  }
  void cross_entropy_backward(const TokenIds& ids, const MatrixView& sums, const MatrixView& x) override {
    inner_->cross_entropy_backward(ids, sums, x);
  }
  void copy(const MatrixView& from, const MatrixView& to) override { inner_->copy(from, to); }
  void add(const MatrixView& a, const MatrixView& b, const MatrixView& sum) override {
    inner_->add(a, b, sum);
  }
  void set_zero(const MatrixView& x) override { inner_->set_zero(x); }
  void fill(const MatrixView& x, const TensorKey& key, std::int64_t row, std::int64_t column) override {
    inner_->fill(x, key, row, column);
  }
  void poison(const MatrixView& x) override { inner_->poison(x); }
  MatrixView host_view(const MatrixView& x, std::vector<std::byte>& scratch) override {
    return inner_->host_view(x, scratch);
  }
  void parallel_for(std::int64_t count,
                    const std::function<void(std::int64_t, std::int64_t)>& body) override {
    inner_->parallel_for(count, body);
  }
  bool flush_caches() override { return inner_->flush_caches(); }
  DeviceSide* device() override { return inner_->device(); }
  DeviceClock* device_clock() override { return inner_->device_clock(); }

 private:
  std::unique_ptr<Backend> inner_;
};

}  // namespace tpbench

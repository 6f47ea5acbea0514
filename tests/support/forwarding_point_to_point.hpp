#pragma once

#include <memory>
#include <utility>

#include "comm/point_to_point.hpp"

namespace tpbench::test {

/// Hands every call on: what a test puts a fault or a delay on stands in between.
class ForwardingPointToPoint : public PointToPoint {
 public:
  explicit ForwardingPointToPoint(std::unique_ptr<PointToPoint> inner) : inner_(std::move(inner)) {}

  int rank() const override { return inner_->rank(); }
  std::optional<MessageProgress> network_progress() const override { return inner_->network_progress(); }
  DataPath data_path() const override { return inner_->data_path(); }
  Matrix make_landing(TrackedMemory& memory, Category category, DType dtype, std::int64_t rows,
                      std::int64_t columns) override {
    return inner_->make_landing(memory, category, dtype, rows, columns);
  }
  void start_receive(std::size_t ticket, int from, int tag, std::span<std::byte> data) override {
    inner_->start_receive(ticket, from, tag, data);
  }
  void start_send(std::size_t ticket, int to, int tag, std::span<const std::byte> data) override {
    inner_->start_send(ticket, to, tag, data);
  }
  bool is_done(std::size_t ticket) override { return inner_->is_done(ticket); }
  void progress() override { inner_->progress(); }
  void wait(std::size_t ticket) override { inner_->wait(ticket); }

 private:
  std::unique_ptr<PointToPoint> inner_;
};

}  // namespace tpbench::test

#include "layers/probes.hpp"

#include "layers/reference.hpp"
#include "layers/tensors.hpp"

namespace tpbench {
namespace {

// The sum over the ranks of what they brought, or, gathered, one rank's after the other's.
class ProbeReference final : public Reference {
 public:
  ProbeReference(const LayerContext& context, bool gathers) : context_(context), gathers_(gathers) {}

  ReferenceTile tile(std::int64_t, Direction, std::size_t, std::span<const std::int64_t> rows,
                     Range columns) override {
    return dispatch_reference(context_.shape.dtype, [&](auto zero) {
      using T = decltype(zero);
      ReferenceRows<WiderThan<T>> result = zero_rows<WiderThan<T>>(rows.size(), columns.size());
      for (std::size_t r = 0; r < rows.size(); ++r) {
        const std::int64_t row = gathers_ ? 0 : rows[r];
        const Range ranks = gathers_ ? Range{rows[r], rows[r] + 1} : Range{0, context_.degree()};
        for (std::int64_t rank = ranks.begin; rank < ranks.end; ++rank) {
          const auto more =
              generated_rows<T>(context_.shape.dtype, probe_key(context_.seed, rank), {&row, 1}, columns);
          for (std::int64_t c = 0; c < columns.size(); ++c) result.row(r)[c] += more.row(0)[c];
        }
      }
      return as_tile(result);
    });
  }

 private:
  LayerContext context_;
  bool gathers_;
};

// What the three have in common: rank r brings the tensor probe_key(r).
class ProbeLayer : public SetLayer {
 public:
  explicit ProbeLayer(const LayerContext& context) : SetLayer(context.shape), context_(context) {}

  // Additions of generated entries, of which a processor does many in the time of one multiply-add with a
  // weight that is generated too: so probes are compared in full up to large arrays.
  double reference_cost() const override {
    constexpr double kCheaper = 1.0 / 16;
    return kCheaper * static_cast<double>(shape().layout.tp) * static_cast<double>(output().local.elements());
  }
  std::vector<Result> results(std::int64_t, Direction) const final { return {output()}; }
  std::unique_ptr<Reference> make_reference(const ReferenceExtent&, Heartbeat&) const override {
    return std::make_unique<ProbeReference>(context_, false);
  }

 protected:
  [[nodiscard]] virtual Result output() const = 0;
  [[nodiscard]] const Shape& shape() const { return context_.shape; }
  [[nodiscard]] Backend& backend() const { return context_.backend; }
  [[nodiscard]] Communicator& communicator() const { return context_.communicator; }
  [[nodiscard]] const LayerContext& context() const { return context_; }
  [[nodiscard]] TensorKey own_key() const { return probe_key(context_.seed, communicator().rank()); }
  [[nodiscard]] std::int64_t shard_elements() const {
    return shape().tokens * shape().hidden_size / shape().layout.tp;
  }
  [[nodiscard]] Matrix make_buffer(std::int64_t rows, std::int64_t columns) const {
    return context_.make_shared_matrix(Category::communication, rows, columns);
  }
  [[nodiscard]] std::int64_t whole_bytes() const {
    return shape().tokens * shape().hidden_size * shape().element_size();
  }

  // On one rank there is nothing to communicate; the array still has to arrive.
  void copy_alone(const MatrixView& from, const MatrixView& to, Trace& trace) {
    trace.begin(Activity::compute);
    backend().copy(from, to);
    trace.end();
  }

 private:
  LayerContext context_;
};

class AllReduceLayer final : public ProbeLayer {
 public:
  explicit AllReduceLayer(const LayerContext& context)
      : ProbeLayer(context), array_(make_buffer(shape().tokens, shape().hidden_size)) {}

  void fill(Heartbeat&) override { backend().fill(array_.view(), own_key(), 0, 0); }
  // In place: what is written is also what is read. A call that does nothing leaves this rank's share, not
  // the sum.
  void poison(std::int64_t, Direction) override { backend().fill(array_.view(), own_key(), 0, 0); }
  // Sums of sums would grow without end, step after step; zeros stay zeros and take the same time.
  void settle() override { backend().set_zero(array_.view()); }

  void forward(std::int64_t, Trace& trace) override {
    if (shape().layout.tp == 1) return;
    trace.begin(Activity::all_reduce, whole_bytes());
    communicator().all_reduce_sum(array_.view().data, array_.view().elements(), shape().dtype);
    trace.end();
  }

 private:
  Result output() const override { return {"output", array_.view(), 0, 0}; }

  Matrix array_;
};

// Row r of the whole is rank r's shard.
class AllGatherLayer final : public ProbeLayer {
 public:
  explicit AllGatherLayer(const LayerContext& context)
      : ProbeLayer(context),
        shard_(make_buffer(1, shard_elements())),
        whole_(make_buffer(shape().layout.tp, shard_elements())) {}

  void fill(Heartbeat&) override { backend().fill(shard_.view(), own_key(), 0, 0); }
  void poison(std::int64_t, Direction) override { backend().poison(whole_.view()); }

  void forward(std::int64_t, Trace& trace) override {
    if (shape().layout.tp == 1) return copy_alone(shard_.view(), whole_.view(), trace);
    trace.begin(Activity::all_gather, whole_bytes());
    communicator().all_gather(shard_.view().data, shard_.view().elements(), whole_.view().data,
                              shape().dtype);
    trace.end();
  }
  std::unique_ptr<Reference> make_reference(const ReferenceExtent&, Heartbeat&) const override {
    return std::make_unique<ProbeReference>(context(), true);
  }

 private:
  Result output() const override { return {"output", whole_.view(), 0, 0}; }

  Matrix shard_;
  Matrix whole_;
};

// Row r of the sum goes to rank r.
class ReduceScatterLayer final : public ProbeLayer {
 public:
  explicit ReduceScatterLayer(const LayerContext& context)
      : ProbeLayer(context),
        whole_(make_buffer(shape().layout.tp, shard_elements())),
        shard_(make_buffer(1, shard_elements())) {}

  void fill(Heartbeat&) override { backend().fill(whole_.view(), own_key(), 0, 0); }
  void poison(std::int64_t, Direction) override { backend().poison(shard_.view()); }

  void forward(std::int64_t, Trace& trace) override {
    if (shape().layout.tp == 1) return copy_alone(whole_.view(), shard_.view(), trace);
    trace.begin(Activity::reduce_scatter, whole_bytes());
    communicator().reduce_scatter_sum(whole_.view().data, shard_.view().data, shard_.view().elements(),
                                      shape().dtype);
    trace.end();
  }

 private:
  Result output() const override { return {"output", shard_.view(), communicator().rank(), 0}; }

  Matrix whole_;
  Matrix shard_;
};

}  // namespace

std::unique_ptr<Layer> make_all_reduce(const LayerContext& context) {
  return std::make_unique<AllReduceLayer>(context);
}
std::unique_ptr<Layer> make_all_gather(const LayerContext& context) {
  return std::make_unique<AllGatherLayer>(context);
}
std::unique_ptr<Layer> make_reduce_scatter(const LayerContext& context) {
  return std::make_unique<ReduceScatterLayer>(context);
}

}  // namespace tpbench

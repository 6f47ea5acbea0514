#include "layers/probes.hpp"

#include "layers/reference.hpp"
#include "layers/tensors.hpp"

namespace tpbench {
namespace {

// What the three have in common: rank r brings the tensor probe_key(r).
class ProbeLayer : public Layer {
 public:
  explicit ProbeLayer(const LayerContext& context) : context_(context) {}

  // Additions of generated entries, of which a processor does many in the time of one multiply-add with a
  // weight that is generated too: so probes are compared in full up to large arrays.
  double reference_cost_per_row() const override {
    constexpr double kCheaper = 1.0 / 16;
    return kCheaper * static_cast<double>(shape().tp_degree) * static_cast<double>(output().local.columns);
  }

  std::vector<RowSums> row_sums(std::int64_t) const override {
    const MatrixView& local = output().local;
    const std::vector<double> signs = random_signs(context_.seed, local.columns);
    return {{expected_sums({output().first_row, output().first_row + local.rows}, signs),
             times_signs(local, signs, backend()), false}};
  }

 protected:
  [[nodiscard]] const Shape& shape() const { return context_.shape; }
  [[nodiscard]] Backend& backend() const { return context_.backend; }
  [[nodiscard]] Communicator& communicator() const { return context_.communicator; }
  [[nodiscard]] TensorKey key_of(std::int64_t rank) const { return probe_key(context_.seed, rank); }
  [[nodiscard]] TensorKey own_key() const { return key_of(communicator().rank()); }
  [[nodiscard]] std::int64_t shard_elements() const {
    return shape().tokens * shape().hidden_size / shape().tp_degree;
  }
  Matrix make_buffer(std::int64_t rows, std::int64_t columns) {
    return communicator().make_matrix(backend().memory(), Category::communication, shape().dtype, rows,
                                      columns);
  }

  // On one rank there is nothing to communicate; the array still has to arrive.
  void copy_alone(const MatrixView& from, const MatrixView& to, Trace& trace) {
    trace.begin(Activity::compute);
    backend().copy(from, to);
    trace.end();
  }

  // Signed sums over the columns of rows `rows` of the whole result.
  [[nodiscard]] virtual std::vector<double> expected_sums(Range rows, std::span<const double> signs) const {
    std::vector<double> sums(static_cast<std::size_t>(rows.size()));
    for (std::int64_t rank = 0; rank < shape().tp_degree; ++rank) {
      const auto share = generated_times_signs(shape().dtype, key_of(rank), rows, {0, output().local.columns},
                                               signs, backend());
      for (std::size_t r = 0; r < sums.size(); ++r) sums[r] += share[r];
    }
    return sums;
  }

  // The sum over ranks of what they brought.
  [[nodiscard]] ReferenceTile sum_of_ranks(std::span<const std::int64_t> rows, Range columns) const {
    return dispatch(shape().dtype, [&](auto zero) {
      auto sum = generated_rows<decltype(zero)>(key_of(0), rows, columns);
      for (std::int64_t rank = 1; rank < shape().tp_degree; ++rank) {
        const auto more = generated_rows<decltype(zero)>(key_of(rank), rows, columns);
        for (std::size_t i = 0; i < sum.values.size(); ++i) sum.values[i] += more.values[i];
      }
      return ReferenceTile{columns.size(), {sum.values.begin(), sum.values.end()}};
    });
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
  void poison() override { backend().fill(array_.view(), own_key(), 0, 0); }
  // Sums of sums would grow without end, step after step; zeros stay zeros and take the same time.
  void settle() override { backend().set_zero(array_.view()); }

  void forward(std::int64_t, Trace& trace) override {
    if (communicator().size() == 1) return;
    trace.begin(Activity::all_reduce);
    communicator().all_reduce_sum(array_.view().data, array_.view().elements(), shape().dtype);
    trace.end();
  }
  OutputShard output() const override { return {array_.view(), 0, 0}; }
  ReferenceTile reference(std::int64_t, std::span<const std::int64_t> rows, Range columns) const override {
    return sum_of_ranks(rows, columns);
  }

 private:
  Matrix array_;
};

// Row r of the whole is rank r's shard.
class AllGatherLayer final : public ProbeLayer {
 public:
  explicit AllGatherLayer(const LayerContext& context)
      : ProbeLayer(context),
        shard_(make_buffer(1, shard_elements())),
        whole_(make_buffer(shape().tp_degree, shard_elements())) {}

  void fill(Heartbeat&) override { backend().fill(shard_.view(), own_key(), 0, 0); }
  void poison() override { backend().poison(whole_.view()); }

  void forward(std::int64_t, Trace& trace) override {
    if (communicator().size() == 1) return copy_alone(shard_.view(), whole_.view(), trace);
    trace.begin(Activity::all_gather);
    communicator().all_gather(shard_.view().data, shard_.view().elements(), whole_.view().data,
                              shape().dtype);
    trace.end();
  }
  OutputShard output() const override { return {whole_.view(), 0, 0}; }
  ReferenceTile reference(std::int64_t, std::span<const std::int64_t> rows, Range columns) const override {
    ReferenceTile tile{columns.size(), {}};
    const std::int64_t first_row = 0;
    for (const std::int64_t rank : rows) {
      dispatch(shape().dtype, [&](auto zero) {
        const auto values = generated_rows<decltype(zero)>(key_of(rank), {&first_row, 1}, columns).values;
        tile.values.insert(tile.values.end(), values.begin(), values.end());
      });
    }
    return tile;
  }

 private:
  std::vector<double> expected_sums(Range rows, std::span<const double> signs) const override {
    std::vector<double> sums;
    for (std::int64_t rank = rows.begin; rank < rows.end; ++rank) {
      sums.push_back(
          generated_times_signs(shape().dtype, key_of(rank), {0, 1}, {0, shard_elements()}, signs, backend())
              .front());
    }
    return sums;
  }

  Matrix shard_;
  Matrix whole_;
};

// Row r of the sum goes to rank r.
class ReduceScatterLayer final : public ProbeLayer {
 public:
  explicit ReduceScatterLayer(const LayerContext& context)
      : ProbeLayer(context),
        whole_(make_buffer(shape().tp_degree, shard_elements())),
        shard_(make_buffer(1, shard_elements())) {}

  void fill(Heartbeat&) override { backend().fill(whole_.view(), own_key(), 0, 0); }
  void poison() override { backend().poison(shard_.view()); }

  void forward(std::int64_t, Trace& trace) override {
    if (communicator().size() == 1) return copy_alone(whole_.view(), shard_.view(), trace);
    trace.begin(Activity::reduce_scatter);
    communicator().reduce_scatter_sum(whole_.view().data, shard_.view().data, shard_.view().elements(),
                                      shape().dtype);
    trace.end();
  }
  OutputShard output() const override { return {shard_.view(), communicator().rank(), 0}; }
  ReferenceTile reference(std::int64_t, std::span<const std::int64_t> rows, Range columns) const override {
    return sum_of_ranks(rows, columns);
  }

 private:
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

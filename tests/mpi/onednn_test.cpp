// Library onednn as it comes, in the types that it multiplies, with weights as they lie and packed: every
// layer, and faults that packed weights can have.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <span>
#include <tuple>
#include <vector>

#include "bench/case_cost.hpp"
#include "compute/cpu_backend.hpp"
#include "compute/forwarding_backend.hpp"
#include "compute/products.hpp"
#include "verify.hpp"

namespace tpbench::test {
namespace {

bool is_there() { return !find_library("onednn")->why_not(DType::f32); }

#ifdef TPBENCH_HAS_ONEDNN
TEST(Onednn, IsThereWhereItWasBuilt) { EXPECT_EQ(find_library("onednn")->why_not(DType::f32), std::nullopt); }
#endif

Case onednn_case(const Variant& variant, DType dtype, WeightLayout layout) {
  Case point = case_on_all(variant, dtype);
  if (point.library) {
    point.library = "onednn";
    point.weight_layout = layout;
  }
  return point;
}

class OnednnLayers : public testing::TestWithParam<std::tuple<Variant, DType, WeightLayout>> {
 protected:
  void SetUp() override {
    if (!is_there()) GTEST_SKIP() << *find_library("onednn")->why_not(DType::f32);
    if (find_library("onednn")->why_not(point().dtype)) GTEST_SKIP() << "not on this CPU";
    const bool packs = point().weight_layout == WeightLayout::packed;
    if (std::get<2>(GetParam()) == WeightLayout::packed && (!packs || point().pass != Pass::forward))
      GTEST_SKIP() << "nothing to pack";
  }
  static Case point() {
    const auto& [variant, dtype, layout] = GetParam();
    return onednn_case(variant, dtype, layout);
  }
  Parts built_in_parts_ = built_in_parts();
};

TEST_P(OnednnLayers, EqualTheirReferences) {
  for (const std::int64_t chunks : {1, 3}) {
    Case overlapped = point();
    overlapped.overlap_chunks = chunks;
    if (chunks > 1 &&
        (!point().workload_row().uses.overlap || why_impossible(point().workload_row(), overlapped.shape())))
      continue;
    for (const VerifyMode mode : {VerifyMode::full, VerifyMode::sampled}) {
      const VerificationResult result = verify(overlapped, built_in_parts(), mode);
      EXPECT_EQ(result.passed, true) << name_of(mode) << ", error " << result.max_relative_error.value_or(-1)
                                     << ", worst " << result.worst_operation.value_or(-1);
    }
  }
}

bool is_weight(Backend& backend, const MatrixView& x) {
  const auto category = backend.memory().category_of(x.data);
  return category == Category::weights || category == Category::replicated_weights;
}

// Entries of x, wherever they are.
std::vector<std::byte> bytes_of(Backend& backend, const MatrixView& x) {
  std::vector<std::byte> scratch, bytes;
  const MatrixView rows = backend.host_view(x, scratch);
  for (std::int64_t r = 0; r < rows.rows; ++r) {
    const auto* row = static_cast<const std::byte*>(rows.row(r));
    bytes.insert(bytes.end(), row, row + rows.columns * size_of(rows.dtype));
  }
  return bytes;
}

// Behind each product with a weight, rows of the identity by that very weight, in operands that lie as those
// did: what comes out is what was packed. The weight in rows is what stood there before its first product.
class UnpackingBackend final : public ForwardingBackend {
 public:
  UnpackingBackend(std::unique_ptr<Backend> inner, std::int64_t& weights)
      : ForwardingBackend(std::move(inner)), weights_(weights) {}

  void multiply(const Factor& a, const Factor& b, const MatrixStack& c, Store store) override {
    const bool is_of_weight = is_weight(*this, b.matrix) && store == Store::overwrite;
    if (is_of_weight) {
      const std::tuple key(b.matrix.data, b.matrix.rows, b.matrix.columns);
      if (!plain_.contains(key)) plain_[key] = bytes_of(*this, b.matrix);
    }
    ForwardingBackend::multiply(a, b, c, store);
    if (!is_of_weight) return;
    std::vector<std::byte>& bytes = plain_.at({b.matrix.data, b.matrix.rows, b.matrix.columns});
    const MatrixView plain{bytes.data(), b.matrix.dtype, b.matrix.rows, b.matrix.columns, b.matrix.columns};
    ASSERT_EQ(bytes_of(*this, b.matrix), bytes);
    const auto buffer = [](const MatrixView& like) {
      return std::vector<std::byte>(
          static_cast<std::size_t>(like.rows * like.row_stride * size_of(like.dtype)));
    };
    std::vector<std::byte> ones = buffer(a.matrix), rows = buffer(c.first);
    MatrixView identity = a.matrix, unpacked = c.first;
    identity.data = ones.data();
    unpacked.data = rows.data();
    for (std::int64_t first = 0; first < b.rows(); first += identity.rows) {
      const std::int64_t count = std::min(identity.rows, b.rows() - first);
      std::fill(ones.begin(), ones.end(), std::byte{0});
      for (std::int64_t r = 0; r < count; ++r) set_entry(identity, r, first + r, 1);
      ForwardingBackend::multiply(identity, b, unpacked, Store::overwrite);
      for (std::int64_t r = 0; r < count; ++r) {
        for (std::int64_t j = 0; j < unpacked.columns; ++j) {
          const double in_rows = b.transposed ? entry(plain, j, first + r) : entry(plain, first + r, j);
          ASSERT_EQ(entry(unpacked, r, j), in_rows) << first + r << ", " << j;
        }
      }
    }
    ++weights_;
  }

 private:
  std::int64_t& weights_;
  std::map<std::tuple<void*, std::int64_t, std::int64_t>, std::vector<std::byte>> plain_;
};

void run_one_step(CaseMachine& machine, Heartbeat& heartbeat) {
  Trace trace(heartbeat);
  trace.begin_step();
  machine.layer().run_step(trace);
  trace.end_step();
}

TEST_P(OnednnLayers, HoldWhatTheFormulaSaysAndWhatPackingAdds) {
  if (std::get<2>(GetParam()) == WeightLayout::plain) GTEST_SKIP() << "nothing is packed";
  for (const std::int64_t chunks : {1, 3}) {
    Case point = OnednnLayers::point();
    point.overlap_chunks = chunks;
    if (chunks > 1 &&
        (!point.workload_row().uses.overlap || why_impossible(point.workload_row(), point.shape())))
      continue;
    const Team& team = team_for(point);
    Heartbeat heartbeat;
    CaseMachine machine(point, team, built_in_parts_, heartbeat);
    machine.make_layer();
    machine.layer().fill(heartbeat);
    for (int step = 0; step < 2; ++step) {
      run_one_step(machine, heartbeat);
      const Cost cost = cost_of_stage(point, point.layout, team.pp_rank());
      const TrackedMemory& memory = machine.backend().memory();
      const ProductFacts facts = machine.backend().product_facts();
      EXPECT_EQ(memory.in_use().total(), cost.memory.total() + facts.added_bytes);
      // Only a table that is looked up as well, and outputs that are overlapped in columns, keep rows.
      if (facts.packed_bytes == 0 || chunks > 1 || machine.shape().ties_embeddings) continue;
      EXPECT_LT(facts.added_bytes, facts.packed_bytes);
      EXPECT_LE(memory.peak(), cost.memory.total() + facts.added_bytes + most_packing_bytes(point, cost));
      EXPECT_LE(most_packing_bytes(point, cost), facts.packed_bytes);
      const std::int64_t addresses_let_go = facts.packed_bytes - facts.added_bytes;
      EXPECT_LE(addresses_let_go, most_packing_bytes(point, cost) + let_go_bytes(point, cost));
      EXPECT_LE(let_go_bytes(point, cost), addresses_let_go);
    }
  }
}

TEST_P(OnednnLayers, PackedWeightsAreThePlainOnes) {
  if (std::get<2>(GetParam()) == WeightLayout::plain) GTEST_SKIP() << "nothing is packed";
  std::int64_t weights = 0, packed_bytes = 0;
  Parts parts = built_in_parts();
  parts.make_backend = [&, inner = parts.make_backend](const BackendNeeds& needs) {
    return std::make_unique<UnpackingBackend>(inner(needs), weights);
  };
  const Case whole = point();
  for (std::int64_t degree = 1; degree <= world().size(); ++degree) {
    for (const auto& [batch, sequence] : {std::pair{1, 24}, {24, 1}, {1, 1}, {5, 1}}) {
      Case point = whole;
      point.layout.tp = degree;
      point.batch_size = batch;
      point.sequence_length = sequence;
      if (!can_split(point)) continue;
      SCOPED_TRACE(case_id(point));
      const Team& team = team_for(point);
      if (!team.member()) continue;
      Heartbeat heartbeat;
      CaseMachine machine(point, team, parts, heartbeat);
      machine.make_layer();
      machine.layer().fill(heartbeat);
      run_one_step(machine, heartbeat);
      packed_bytes += machine.backend().product_facts().packed_bytes;
    }
  }
  EXPECT_GT(weights, 0);
  EXPECT_GT(packed_bytes, 0);
}

INSTANTIATE_TEST_SUITE_P(All, OnednnLayers,
                         testing::Combine(testing::ValuesIn(all_variants()),
                                          testing::Values(DType::f32, DType::bf16),
                                          testing::Values(WeightLayout::plain, WeightLayout::packed)),
                         [](const auto& test) {
                           return name_of_variant(std::get<0>(test.param)) + "_" +
                                  std::string(name_of(std::get<1>(test.param))) + "_" +
                                  std::string(name_of(std::get<2>(test.param)));
                         });

enum class PackingFault { wrong_scale, transposed, swapped_shards };

// What packing can do wrong, done to the weight that a product is made with.
class WronglyPackingBackend final : public ForwardingBackend {
 public:
  WronglyPackingBackend(std::unique_ptr<Backend> inner, PackingFault fault, bool& struck)
      : ForwardingBackend(std::move(inner)), fault_(fault), struck_(struck) {}

  void multiply(const Factor& a, const Factor& b, const MatrixStack& c, Store store) override {
    if (!is_weight(*this, b.matrix)) return ForwardingBackend::multiply(a, b, c, store);
    const MatrixView& w = b.matrix;
    switch (fault_) {
      case PackingFault::wrong_scale: {
        ForwardingBackend::multiply(a, b, c, store);
        const MatrixView first = c.first;
        for (std::int64_t r = 0; r < first.rows; ++r) {
          for (std::int64_t j = 0; j < first.columns; ++j) set_entry(first, r, j, 2 * entry(first, r, j));
        }
        break;
      }
      case PackingFault::transposed:
        if (w.rows != w.columns) return ForwardingBackend::multiply(a, b, c, store);
        ForwardingBackend::multiply(a, Factor(w, !b.transposed), c, store);
        break;
      case PackingFault::swapped_shards: {
        if (b.transposed || w.columns % 2 != 0) return ForwardingBackend::multiply(a, b, c, store);
        const std::int64_t half = w.columns / 2;
        ForwardingBackend::multiply(a, w.column_slice(half, half), c.first.column_slice(0, half), store);
        ForwardingBackend::multiply(a, w.column_slice(0, half), c.first.column_slice(half, half), store);
        break;
      }
    }
    struck_ = true;
  }

 private:
  PackingFault fault_;
  bool& struck_;
};

TEST(OnednnPacking, ThatIsWrongIsFound) {
  if (!is_there()) GTEST_SKIP() << "no oneDNN";
  for (const DType dtype : {DType::f32, DType::bf16}) {
    if (find_library("onednn")->why_not(dtype)) continue;
    for (const PackingFault fault :
         {PackingFault::wrong_scale, PackingFault::transposed, PackingFault::swapped_shards}) {
      std::int64_t strikes = 0;  // a weight that is not square, or of an odd number of columns, is left alone
      for (const char* workload : {"gemm", "row_linear", "mlp", "attention", "block"}) {
        for (const VerifyMode mode : {VerifyMode::full, VerifyMode::sampled}) {
          bool struck = false;
          Parts parts = built_in_parts();
          parts.make_backend = [&, inner = parts.make_backend](const BackendNeeds& needs) {
            return std::make_unique<WronglyPackingBackend>(inner(needs), fault, struck);
          };
          const VerificationResult result =
              verify(onednn_case({workload}, dtype, WeightLayout::packed), parts, mode);
          const bool anywhere = world().max(std::int64_t{struck ? 1 : 0}) == 1;
          EXPECT_EQ(result.passed, !anywhere)
              << workload << ", fault " << static_cast<int>(fault) << ", " << name_of(mode);
          strikes += anywhere ? 1 : 0;
        }
      }
      if (fault != PackingFault::transposed) {
        EXPECT_GT(strikes, 0) << "fault " << static_cast<int>(fault);
      }
    }
  }
}

using Bytes = std::span<std::byte>;

// The weights of a layer as they are held: in rows, or once it has packed them packed.
std::vector<Bytes> held_weights(Backend& backend) {
  std::vector<Bytes> weights;
  backend.memory().for_each_block([&](const void* data, std::int64_t bytes) {
    const auto category = backend.memory().category_of(data);
    if (category == Category::weights || category == Category::replicated_weights)
      weights.emplace_back(static_cast<std::byte*>(const_cast<void*>(data)), static_cast<std::size_t>(bytes));
  });
  return weights;
}

// Every element with the other sign, behind the backend's back.
void negate(const std::vector<Bytes>& weights, DType dtype) {
  const auto size = static_cast<std::size_t>(size_of(dtype));
  for (const Bytes& weight : weights) {
    for (std::size_t last = size - 1; last < weight.size(); last += size) weight[last] ^= std::byte{0x80};
  }
}

// A layer that has packed its weights in one step: those of its fill, or these with the other sign.
class PackedLayer {
 public:
  PackedLayer(DType dtype, bool packs_wrong_ones)
      : point_(onednn_case({"mlp"}, dtype, WeightLayout::packed)),
        team_(team_for(point_)),
        machine_(point_, team_, parts_, heartbeat_) {
    machine_.make_layer();
    machine_.layer().fill(heartbeat_);
    weights_ = held_weights(machine_.backend());
    if (packs_wrong_ones) negate_rows();
    run_one_step(machine_, heartbeat_);
  }
  void negate_rows() { negate(weights_, point_.dtype); }
  std::vector<Bytes> packed() { return held_weights(machine_.backend()); }
  void fill() { machine_.layer().fill(heartbeat_); }
  std::optional<bool> passes(VerifyMode mode = VerifyMode::sampled) {
    const auto method = choose_method(mode, machine_.layer(), machine_.shape(), team_);
    machine_.operations().on = checks_operations(method, point_.dtype);
    const Cost cost = point_.workload_row().cost(machine_.shape());
    return verify_layer(machine_, method, point_.seed, cost, team_, heartbeat_).passed;
  }

 private:
  Case point_;
  const Team& team_;
  Parts parts_ = built_in_parts();
  Heartbeat heartbeat_;
  CaseMachine machine_;
  std::vector<Bytes> weights_;
};

class OnednnNewWeights : public testing::TestWithParam<DType> {
 protected:
  void SetUp() override {
    if (!is_there() || find_library("onednn")->why_not(GetParam())) GTEST_SKIP() << "not here";
  }
};

TEST_P(OnednnNewWeights, ArePackedAnew) {
  PackedLayer layer(GetParam(), true);
  layer.fill();
  EXPECT_EQ(layer.passes(), true);
}

// Others stand where the rows were, and nobody was told.
TEST_P(OnednnNewWeights, AreMissedWhereTheyAreNotPackedAnew) {
  PackedLayer layer(GetParam(), true);
  layer.negate_rows();
  EXPECT_EQ(layer.passes(), false);
}

// What a check of the product alone cannot see: it takes its factor from the same packed memory.
TEST_P(OnednnNewWeights, WrongPackedMemoryIsFound) {
  const auto size = static_cast<std::size_t>(size_of(GetParam()));
  for (const VerifyMode mode : {VerifyMode::full, VerifyMode::sampled}) {
    PackedLayer untouched(GetParam(), false), scaled(GetParam(), false), swapped(GetParam(), false),
        negated(GetParam(), false);
    EXPECT_EQ(untouched.passes(mode), true);
    for (const Bytes& weight : scaled.packed()) {
      const MatrixView all{weight.data(), GetParam(), 1, static_cast<std::int64_t>(weight.size() / size), 0};
      for (std::int64_t i = 0; i < all.columns; ++i) set_entry(all, 0, i, 1.25 * entry(all, 0, i));
    }
    EXPECT_EQ(scaled.passes(mode), false);
    for (const Bytes& weight : swapped.packed()) {
      const auto half = static_cast<std::ptrdiff_t>(weight.size() / size / 2 * size);
      std::swap_ranges(weight.begin(), weight.begin() + half, weight.begin() + half);
    }
    EXPECT_EQ(swapped.passes(mode), false);
    negate(negated.packed(), GetParam());
    EXPECT_EQ(negated.passes(mode), false);
  }
}

// Rows that packed weights took the place of come back for whoever reads or writes to them.
TEST_P(OnednnNewWeights, RowsComeBackWhereTheyAreUsed) {
  const auto backend = make_cpu_backend({.library = "onednn", .packs_weights = true});
  TrackedMemory& memory = backend->memory();
  constexpr std::int64_t kRows = 64, kColumns = 96;
  const Matrix weight = backend->make_matrix(Category::weights, GetParam(), kRows, kColumns),
               x = backend->make_matrix(Category::activations, GetParam(), 32, kRows),
               y = backend->make_matrix(Category::activations, GetParam(), 32, kColumns),
               target = backend->make_matrix(Category::activations, GetParam(), kRows, kColumns);
  const std::int64_t plain_bytes = memory.in_use().total();
  const TensorKey key{.seed = 1, .tensor = 2, .scale = 1};
  backend->fill(x.view(), {.seed = 1, .tensor = 3, .scale = 1}, 0, 0);
  backend->fill(weight.view(), key, 0, 0);
  const std::vector<std::byte> rows = bytes_of(*backend, weight.view());
  const auto in_place = [&] {
    const auto* first = static_cast<const std::byte*>(weight.view().data);
    return std::vector<std::byte>(first, first + rows.size());
  };
  backend->gemm(x.view(), weight.view(), y.view());
  if (backend->product_facts().packed_bytes == 0) GTEST_SKIP() << "the library does not pack this one";
  EXPECT_NE(in_place(), rows);
  EXPECT_EQ(bytes_of(*backend, weight.view()), rows);
  std::vector<std::byte> copy = rows;
  const MatrixView plain{copy.data(), GetParam(), kRows, kColumns, kColumns};
  EXPECT_EQ(bytes_of(*backend, weight.view().block(3, 5, 7, 11)),
            bytes_of(*backend, plain.block(3, 5, 7, 11)));
  EXPECT_EQ(memory.in_use().total(), plain_bytes + backend->product_facts().added_bytes);

  // A part is written to: the rest is what it was, and products are with the new weight.
  const std::vector<std::byte> before = bytes_of(*backend, y.view());
  backend->set_zero(weight.view().row_slice(0, kRows / 2));
  EXPECT_TRUE(std::equal(rows.begin() + static_cast<std::ptrdiff_t>(rows.size() / 2), rows.end(),
                         in_place().begin() + static_cast<std::ptrdiff_t>(rows.size() / 2)));
  backend->gemm(x.view(), weight.view(), y.view());
  EXPECT_NE(bytes_of(*backend, y.view()), before);

  backend->fill(weight.view(), key, 0, 0);
  backend->gemm(x.view(), weight.view(), y.view());
  EXPECT_EQ(bytes_of(*backend, y.view()), before);
  backend->gemm(x.view().row_slice(0, 1), weight.view(),
                y.view().row_slice(0, 1));  // perhaps in another layout
  EXPECT_EQ(bytes_of(*backend, weight.view()), rows);
  backend->copy(weight.view(), target.view());
  EXPECT_EQ(bytes_of(*backend, target.view()), rows);
  EXPECT_EQ(in_place(), rows);
  // They stay: the next step reads them again.
  backend->gemm(x.view(), weight.view(), y.view());
  EXPECT_EQ(in_place(), rows);
  EXPECT_EQ(memory.in_use().total(), plain_bytes + backend->product_facts().added_bytes);
}

INSTANTIATE_TEST_SUITE_P(All, OnednnNewWeights, testing::Values(DType::f32, DType::bf16),
                         [](const auto& test) { return std::string(name_of(test.param)); });

}  // namespace
}  // namespace tpbench::test

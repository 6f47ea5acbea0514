// Library onednn as it comes, in the types that it multiplies, with weights as they lie and packed: every
// layer, and faults that packed weights can have.
#include <gtest/gtest.h>

#include <cmath>
#include <span>
#include <tuple>
#include <vector>

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

// Behind each product with a weight, rows of the identity by that very weight, in operands that lie as those
// did: what comes out is what was packed.
class UnpackingBackend final : public ForwardingBackend {
 public:
  UnpackingBackend(std::unique_ptr<Backend> inner, std::int64_t& weights)
      : ForwardingBackend(std::move(inner)), weights_(weights) {}

  void multiply(const Factor& a, const Factor& b, const MatrixStack& c, Store store) override {
    ForwardingBackend::multiply(a, b, c, store);
    if (!is_weight(*this, b.matrix) || store == Store::add) return;
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
          const double plain = b.transposed ? entry(b.matrix, j, first + r) : entry(b.matrix, first + r, j);
          ASSERT_EQ(entry(unpacked, r, j), plain) << first + r << ", " << j;
        }
      }
    }
    ++weights_;
  }

 private:
  std::int64_t& weights_;
};

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
      Trace trace(heartbeat);
      trace.begin_step();
      run_step(machine.layer(), machine.shape(), trace);
      trace.end_step();
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

// The weights of a layer that has packed none.
std::vector<Bytes> plain_weights(Backend& backend) {
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

// A layer whose first step packed wrong weights.
class PackedWrongly {
 public:
  explicit PackedWrongly(DType dtype)
      : point_(onednn_case({"mlp"}, dtype, WeightLayout::packed)),
        team_(team_for(point_)),
        machine_(point_, team_, parts_, heartbeat_) {
    machine_.make_layer();
    machine_.layer().fill(heartbeat_);
    weights_ = plain_weights(machine_.backend());
    negate_weights();
    Trace trace(heartbeat_);
    trace.begin_step();
    run_step(machine_.layer(), machine_.shape(), trace);
    trace.end_step();
  }
  void negate_weights() { negate(weights_, point_.dtype); }
  void fill() { machine_.layer().fill(heartbeat_); }
  std::optional<bool> passes() {
    const auto method = choose_method(VerifyMode::sampled, machine_.layer(), machine_.shape(), team_);
    machine_.operations().on = true;
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
  PackedWrongly layer(GetParam());
  layer.fill();
  EXPECT_EQ(layer.passes(), true);
}

// Right weights stand in memory, and nobody was told.
TEST_P(OnednnNewWeights, AreMissedWhereTheyAreNotPackedAnew) {
  PackedWrongly layer(GetParam());
  layer.negate_weights();
  EXPECT_EQ(layer.passes(), false);
}

INSTANTIATE_TEST_SUITE_P(All, OnednnNewWeights, testing::Values(DType::f32, DType::bf16),
                         [](const auto& test) { return std::string(name_of(test.param)); });

}  // namespace
}  // namespace tpbench::test

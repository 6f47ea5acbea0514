#include "layers/layer.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <tuple>

#include "algorithms.hpp"
#include "bench/verification.hpp"
#include "compute/cpu_backend.hpp"
#include "counting.hpp"
#include "naive.hpp"
#include "world.hpp"

namespace tpbench::test {
namespace {

struct Sizes {
  std::int64_t tokens, hidden_size, ffn_hidden_size;
};

// 60 and 132 divide by every degree up to 4, 51 only by 1 and 3; no number of tokens divides by anything.
constexpr Sizes kSizes[] = {{7, 60, 132}, {1, 60, 132}, {13, 51, 87}, {29, 12, 36}};

/// One layer of one case on this rank, over counting parts.
class CountedLayer {
 public:
  CountedLayer(const Case& point, const Team& team, const Carrier& carrier)
      : backend_(make_cpu_backend(1), executed_),
        communicator_(carrier.make(*team.group), executed_),
        layer_(find_layer(point.workload)->make({point.shape(), point.seed, backend_, communicator_})) {}

  Layer& operator*() { return *layer_; }
  Layer* operator->() { return layer_.get(); }
  Backend& backend() { return backend_; }
  Executed& executed() { return executed_; }
  void destroy_layer() { layer_.reset(); }

 private:
  Executed executed_;
  CountingBackend backend_;
  CountingCommunicator communicator_;
  std::unique_ptr<Layer> layer_;
};

// Largest difference to the reference over the largest value of the reference; infinite when something is not
// a number.
double relative_error(const Layer& layer, std::int64_t weight_set, DType dtype) {
  const OutputShard shard = layer.output();
  std::vector<std::int64_t> rows(static_cast<std::size_t>(shard.local.rows));
  std::iota(rows.begin(), rows.end(), shard.first_row);
  const ReferenceTile tile =
      layer.reference(weight_set, rows, {shard.first_column, shard.first_column + shard.local.columns});
  EXPECT_EQ(tile.columns, shard.local.columns);
  EXPECT_EQ(static_cast<std::int64_t>(tile.values.size()), shard.local.elements());
  long double error = 0, largest = 0;
  dispatch(dtype, [&](auto zero) {
    auto expected = tile.values.begin();
    for (std::int64_t r = 0; r < shard.local.rows; ++r) {
      const auto* found = static_cast<const decltype(zero)*>(shard.local.row(r));
      for (std::int64_t c = 0; c < shard.local.columns; ++c, ++expected) {
        const long double difference = std::abs(static_cast<long double>(found[c]) - *expected);
        error = std::isnan(difference) ? HUGE_VALL : std::max(error, difference);
        largest = std::max(largest, std::abs(*expected));
      }
    }
  });
  return static_cast<double>(error / largest);
}

void expect_executed_is(const Executed& executed, const Cost& cost) {
  EXPECT_EQ(static_cast<double>(executed.flop), cost.flop);
  std::map<CollectiveOp, std::vector<std::int64_t>> expected;
  std::int64_t bytes = 0;
  for (const CollectiveCost& collective : cost.collectives) {
    const auto calls = static_cast<std::size_t>(collective.calls_per_step);
    if (calls > 0) expected[collective.op].assign(calls, collective.bytes);
  }
  for (const auto& [op, calls] : executed.bytes) bytes = std::accumulate(calls.begin(), calls.end(), bytes);
  EXPECT_EQ(executed.bytes, expected);
  EXPECT_EQ(bytes, cost.bytes_per_step());
}

void expect_segments_are(const Trace& trace, const Executed& executed) {
  std::size_t collectives = 0;
  for (const Activity activity : trace.segments()) collectives += activity == Activity::compute ? 0 : 1;
  std::size_t calls = 0;
  for (const auto& [op, bytes] : executed.bytes) {
    calls += bytes.size();
    const auto named = enum_from_name<Activity>(name_of(op));
    EXPECT_EQ(std::count(trace.segments().begin(), trace.segments().end(), named),
              static_cast<long>(bytes.size()));
  }
  EXPECT_EQ(collectives, calls) << "a collective is not a segment of its own";
}

void check_case(const Case& point, const Team& team, const Carrier& carrier) {
  const Shape shape = point.shape();
  const Cost cost = point.workload_row().cost(shape);
  const double tolerance =
      shape.dtype == DType::f64 ? 1e-12 : verification_tolerance(shape.dtype, cost.reduction_length);
  CountedLayer layer(point, team, carrier);
  EXPECT_EQ(layer.backend().memory().in_use(), cost.memory);
  Heartbeat heartbeat;
  layer->fill(heartbeat);

  Trace trace(heartbeat);
  trace.start_batch(1);
  trace.begin_step();
  for (std::int64_t l = 0; l < shape.num_layers; ++l) {
    layer->poison();
    layer->forward(l, trace);
    EXPECT_LE(relative_error(*layer, l, shape.dtype), tolerance) << "weight set " << l;
  }
  trace.end_step();
  expect_executed_is(layer.executed(), cost);
  expect_segments_are(trace, layer.executed());
  EXPECT_EQ(layer.backend().memory().at_peak(), cost.memory) << "a step allocates";
  layer.destroy_layer();
  EXPECT_EQ(layer.backend().memory().in_use().total(), 0);
}

class EveryLayer : public testing::TestWithParam<std::tuple<Variant, DType>> {
 protected:
  const Variant& variant() const { return std::get<0>(GetParam()); }

  /// Calls `check(case, team, carrier)` on the members of each team that can run the case, for each
  /// algorithm.
  template <typename Check>
  void for_all_cases(const Check& check) {
    for (const Sizes& sizes : kSizes) {
      for (std::int64_t degree = 1; degree <= world().size(); ++degree) {
        for (const std::int64_t layers : {1, 2}) {
          Case point = make_case(variant(), sizes.tokens, sizes.hidden_size, sizes.ffn_hidden_size);
          point.dtype = std::get<1>(GetParam());
          point.tp_degree = degree;
          point.num_layers = layers;
          normalise_case(point);
          if (why_not_divisible(point.workload_row().split(point.shape()), degree)) continue;
          const Team& team = team_for(point);
          if (!team.member()) continue;
          SCOPED_TRACE(testing::Message() << case_id(point) << ", " << layers << " weight sets");
          for (const Carrier& carrier : all_carriers(static_cast<int>(degree))) {
            SCOPED_TRACE(carrier.name);
            check(point, team, carrier);
          }
        }
      }
    }
  }
};

TEST_P(EveryLayer, EqualsItsReferenceAndCostsWhatItsFormulasSay) { for_all_cases(check_case); }

// A step that runs twice gives the same bits: nothing is left over from the step before.
TEST_P(EveryLayer, RepeatsItself) {
  if (variant().workload == "all_reduce") GTEST_SKIP() << "sums in place what the step before left";
  for_all_cases([](const Case& point, const Team& team, const Carrier& carrier) {
    CountedLayer layer(point, team, carrier);
    Heartbeat heartbeat;
    layer->fill(heartbeat);
    const auto run = [&] {
      Trace trace(heartbeat);
      trace.begin_step();
      layer->forward(0, trace);
      trace.end_step();
      const MatrixView& y = layer->output().local;
      const auto* bytes = static_cast<const std::byte*>(y.data);
      EXPECT_EQ(y.row_stride, y.columns);
      return std::vector<std::byte>(bytes, bytes + y.elements() * size_of(y.dtype));
    };
    const auto first = run();
    EXPECT_TRUE(first == run());
  });
}

// The other side of the comparison, checked against whole matrices that nobody cut.
TEST_P(EveryLayer, HasTheTextbooksReference) {
  if (!find_workload(variant().workload)->uses.num_layers) GTEST_SKIP() << "a probe of the fabric";
  for_all_cases([&](const Case& point, const Team& team, const Carrier& carrier) {
    if (carrier.name != "mpi") return;  // a reference communicates nothing
    if (point.tp_degree != 1 && point.tp_degree != world().size()) return;
    CountedLayer layer(point, team, carrier);
    const Shape shape = point.shape();
    std::vector<std::int64_t> rows(static_cast<std::size_t>(shape.tokens));
    std::iota(rows.begin(), rows.end(), std::int64_t{0});
    const std::int64_t last = shape.num_layers - 1;
    const auto expected = textbook_output(variant(), shape, point.seed, last);
    const auto found = layer->reference(last, rows, {0, shape.hidden_size}).values;
    ASSERT_EQ(found.size(), expected.size());
    const long double tolerance = shape.dtype == DType::f64 ? 1e-16L : 1e-13L;
    long double error = 0;
    for (std::size_t i = 0; i < found.size(); ++i) error = std::max(error, std::abs(found[i] - expected[i]));
    EXPECT_LE(error, tolerance);
  });
}

INSTANTIATE_TEST_SUITE_P(All, EveryLayer,
                         testing::Combine(testing::ValuesIn(all_variants()),
                                          testing::Values(DType::f32, DType::f64)),
                         [](const auto& test) {
                           return name_of_variant(std::get<0>(test.param)) + "_" +
                                  std::string(name_of(std::get<1>(test.param)));
                         });

}  // namespace
}  // namespace tpbench::test

#include "layers/layer.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <tuple>

#include "algorithms.hpp"
#include "base/json.hpp"
#include "bench/verification.hpp"
#include "counting.hpp"
#include "layers/tensors.hpp"
#include "naive.hpp"
#include "narrow_backend.hpp"
#include "world.hpp"

namespace tpbench::test {
namespace {

// What the first three rows have divides by degrees up to 4 in part, so that some must be skipped; the last
// two divide by all of 1, 2, 4 and 8, in rows too. Key/value heads are as many as heads, fewer, or fewer than
// ranks. A vocabulary is padded at some degrees or at all, divides, or is so short that last ranks have
// nothing of it.
constexpr Sizes kSizes[] = {
    {7, 60, 132, 7, 12, 4},  {1, 60, 132, 1, 12, 12},    {13, 51, 87, 1, 3, 1},
    {12, 60, 132, 6, 12, 3}, {24, 48, 96, 12, 8, 2, 48}, {16, 16, 32, 2, 8, 8, 5},
};

/// One layer of one case on this rank, over counting parts.
class CountedLayer {
 public:
  CountedLayer(const Case& point, const Team& team, const Carrier& carrier)
      : backend_(make_narrow_backend(1), executed_),
        communicator_(carrier.make(*team.group), executed_),
        layer_(find_layer(point.workload)
                   ->make({point.shape(), point.seed, backend_, communicator_, [&](int colour) {
                             return std::make_unique<CountingCommunicator>(
                                 find_algorithm("mpi")->make(team.group->split(colour), nullptr), executed_);
                           }})) {}

  SetLayer* operator->() { return dynamic_cast<SetLayer*>(layer_.get()); }
  Backend& backend() { return backend_; }
  Executed& executed() { return executed_; }
  void destroy_layer() { layer_.reset(); }

 private:
  Executed executed_;
  CountingBackend backend_;
  CountingCommunicator communicator_;
  std::unique_ptr<Layer> layer_;
};

std::vector<std::int64_t> rows_from(std::int64_t first, std::int64_t count) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
  std::iota(rows.begin(), rows.end(), first);
  return rows;
}

// Largest difference to the reference over the largest value of the reference; infinite when something is not
// a number.
double relative_error(const Result& result, const ReferenceTile& tile) {
  EXPECT_EQ(tile.columns, result.local.columns);
  EXPECT_EQ(static_cast<std::int64_t>(tile.values.size()), result.local.elements());
  long double error = 0, largest = 0;
  dispatch(result.local.dtype, [&](auto zero) {
    auto expected = tile.values.begin();
    for (std::int64_t r = 0; r < result.local.rows; ++r) {
      const auto* found = static_cast<const decltype(zero)*>(result.local.row(r));
      for (std::int64_t c = 0; c < result.local.columns; ++c, ++expected) {
        const long double difference = std::abs(static_cast<long double>(found[c]) - *expected);
        error = std::isnan(difference) ? HUGE_VALL : std::max(error, difference);
        largest = std::max(largest, std::abs(*expected));
      }
    }
  });
  return error == 0 ? 0 : static_cast<double>(error / largest);
}

// By op, half and bytes: how often.
std::map<std::tuple<std::string, Direction, std::int64_t>, std::int64_t> collectives_of(const Cost& cost) {
  std::map<std::tuple<std::string, Direction, std::int64_t>, std::int64_t> calls;
  for (const CollectiveCost& collective : cost.collectives) {
    if (collective.calls_per_step > 0)
      calls[{std::string(name_of(collective.op)), collective.direction, collective.bytes}] +=
          collective.calls_per_step;
  }
  return calls;
}

std::map<std::tuple<std::string, Direction, std::int64_t>, std::int64_t> collectives_of(const Trace& trace) {
  std::map<std::tuple<std::string, Direction, std::int64_t>, std::int64_t> calls;
  for (const EventKey& event : trace.held().events) {
    if (!event.is_compute()) ++calls[{std::string(name_of(event.kind)), event.direction, event.bytes}];
  }
  return calls;
}

// Bytes of all calls of each kind: what was given to the communicator, and what the formula says.
void expect_bytes_are(const Executed& executed, const Cost& cost) {
  std::map<CollectiveOp, std::vector<std::int64_t>> expected;
  for (const CollectiveCost& collective : cost.collectives) {
    auto& calls = expected[collective.op];
    calls.insert(calls.end(), static_cast<std::size_t>(collective.calls_per_step), collective.bytes);
  }
  std::erase_if(expected, [](const auto& entry) { return entry.second.empty(); });
  auto found = executed.bytes;
  for (auto* calls : {&expected, &found}) {
    for (auto& [op, bytes] : *calls) std::sort(bytes.begin(), bytes.end());
  }
  EXPECT_EQ(found, expected);
}

class CheckedStep {
 public:
  CheckedStep(const Case& point, const Team& team, const Carrier& carrier)
      : shape_(point.shape()),
        cost_(point.workload_row().cost(shape_)),
        tolerance_(shape_.dtype == DType::f64 ? 1e-12 : case_tolerance(shape_, cost_)),
        layer_(point, team, carrier),
        trace_(heartbeat_) {}

  void run() {
    EXPECT_EQ(layer_.backend().memory().in_use(), cost_.memory);
    layer_->fill(heartbeat_);
    const Result output = layer_->results(0, Direction::forward).front();
    ReferenceExtent extent{rows_from(output.first_row, output.local.rows), shape_.trains()};
    if (extent.gradients) extent.output_rows = rows_from(0, shape_.tokens);
    reference_ = layer_->make_reference(extent, heartbeat_);

    trace_.reserve(1);
    trace_.begin_step();
    for (std::int64_t l = 0; l < shape_.num_layers; ++l) check_half(l, Direction::forward);
    const auto forward = static_cast<double>(layer_.executed().flop);
    EXPECT_EQ(forward, cost_.flop_forward);
    trace_.turn(Direction::backward);
    for (std::int64_t l = shape_.num_layers; shape_.trains() && l-- > 0;) check_half(l, Direction::backward);
    trace_.end_step();
    EXPECT_EQ(static_cast<double>(layer_.executed().flop) - forward, cost_.flop_backward);
    if (!shape_.overlaps()) {  // what overlaps shows in one event, as far as it shows
      EXPECT_EQ(collectives_of(trace_), collectives_of(cost_)) << "a collective is not an event of its own";
    }
    expect_bytes_are(layer_.executed(), cost_);
    EXPECT_EQ(layer_.backend().memory().at_peak(), cost_.memory) << "a step allocates";
    layer_.destroy_layer();
    EXPECT_EQ(layer_.backend().memory().in_use().total(), 0);
  }

 private:
  void check_half(std::int64_t l, Direction direction) {
    layer_->poison(l, direction);
    if (direction == Direction::forward)
      layer_->forward(l, trace_);
    else
      layer_->backward(l, trace_);
    const std::vector<Result> results = layer_->results(l, direction);
    for (std::size_t index = 0; index < results.size(); ++index) {
      const Result& result = results[index];
      const ReferenceTile tile =
          reference_->tile(l, direction, index, rows_from(result.first_row, result.local.rows),
                           {result.first_column, result.first_column + result.local.columns});
      EXPECT_LE(relative_error(result, tile), tolerance_) << result.name << " of weight set " << l;
    }
  }

  Shape shape_;
  Cost cost_;
  double tolerance_;
  CountedLayer layer_;
  Heartbeat heartbeat_;
  Trace trace_;
  std::unique_ptr<Reference> reference_;
};

void check_case(const Case& point, const Team& team, const Carrier& carrier) {
  CheckedStep(point, team, carrier).run();
}

// The algorithm that takes no part in what the other tests are about.
Carrier by_mpi(const Case& point) { return all_carriers(static_cast<int>(point.layout.tp)).front(); }

class EveryLayer : public testing::TestWithParam<std::tuple<Variant, DType>> {
 protected:
  const Variant& variant() const { return std::get<0>(GetParam()); }

  /// Calls `check(case, team, carrier)` on the members of each team of more than half of the ranks that can
  /// run the case, for each algorithm: fewer are what this program runs on fewer ranks. At more than four,
  /// which is far more than cores, only all of them together.
  template <typename Check>
  void for_all_cases(const Check& check) {
    for (const Sizes& sizes : kSizes) {
      const bool narrow = is_narrow(std::get<1>(GetParam()));
      // Where narrow types are split, f32 is split alike: one shape that divides, and one that does in part.
      if (narrow && &sizes != &kSizes[0] && &sizes != &kSizes[4]) continue;
      const std::int64_t least = world().size() > 4 ? world().size() : world().size() / 2 + 1;
      for (std::int64_t degree = least; degree <= world().size(); ++degree) {
        for (const std::int64_t layers : {1, 3}) {
          Case point = make_case(variant(), sizes);
          point.dtype = std::get<1>(GetParam());
          point.layout.tp = degree;
          point.num_layers = layers;
          normalise_case(point);
          if (!can_split(point)) continue;
          const Team& team = team_for(point);
          if (!team.member()) continue;
          SCOPED_TRACE(testing::Message() << case_to_json(point).dump());
          for (const Carrier& carrier : all_carriers(static_cast<int>(degree))) {
            // What a layer does is the same with every algorithm; collectives have tests of their own.
            if (carrier.name != "mpi" && (layers == 1 || &sizes != &kSizes[4])) continue;
            SCOPED_TRACE(carrier.name);
            check(point, team, carrier);
          }
        }
      }
    }
  }
};

TEST_P(EveryLayer, EqualsItsReferenceAndCostsWhatItsFormulasSay) {
  if (is_narrow(std::get<1>(GetParam())) && world().size() > 4) GTEST_SKIP() << "split as f32 is";
  for_all_cases(check_case);
}

// A step that runs twice gives the same bits: nothing is left over from the step before.
TEST_P(EveryLayer, RepeatsItself) {
  if (variant().workload == "all_reduce") GTEST_SKIP() << "sums in place what the step before left";
  if (is_narrow(std::get<1>(GetParam()))) GTEST_SKIP() << "the same as in f32";
  if (world().size() > 4) GTEST_SKIP() << "as on four ranks";
  for_all_cases([](const Case& point, const Team& team, const Carrier& carrier) {
    CountedLayer layer(point, team, carrier);
    const Shape shape = point.shape();
    Heartbeat heartbeat;
    layer->fill(heartbeat);
    const auto run = [&] {
      Trace trace(heartbeat);
      trace.begin_step();
      layer->run_step(trace);
      trace.end_step();
      std::vector<std::byte> all;
      const auto last = shape.trains() ? Direction::backward : Direction::forward;
      for (const Result& result : layer->results(0, last)) {
        for (std::int64_t r = 0; r < result.local.rows; ++r) {
          const auto* row = static_cast<const std::byte*>(result.local.row(r));
          all.insert(all.end(), row, row + result.local.columns * shape.element_size());
        }
      }
      return all;
    };
    const auto first = run();
    EXPECT_EQ(first, run());
  });
}

// The reference itself, against what a textbook writes.
TEST_P(EveryLayer, HasTheTextbooksReference) {
  const UsedFields& uses = find_workload(variant().workload)->uses;
  if (probes_fabric(variant().workload)) GTEST_SKIP() << "a probe of the fabric";
  if (uses.norm) GTEST_SKIP() << "made of an mlp, an attention and norms, which have tests of their own";
  if (world().size() > 2) GTEST_SKIP() << "the same at every number of ranks";
  for_all_cases([&](const Case& point, const Team& team, const Carrier& carrier) {
    if (carrier.name != "mpi") return;  // a reference communicates nothing
    CountedLayer layer(point, team, carrier);
    const Shape shape = point.shape();
    const std::int64_t last = shape.num_layers - 1;
    Heartbeat heartbeat;
    const bool is_head = variant().workload == "lm_head";
    const auto rows = rows_from(0, is_head ? shape.logit_rows() : shape.tokens);
    const auto reference = layer->make_reference({rows, false}, heartbeat);
    const auto expected = textbook_output(variant(), shape, point.seed, last);
    const std::int64_t columns = layer->results(0, Direction::forward).front().local.columns;
    const Range whole = {0, is_head ? columns : shape.hidden_size};
    const auto found = reference->tile(last, Direction::forward, 0, rows, whole).values;
    ASSERT_EQ(found.size(), expected.size());
    const long double tolerance = shape.dtype == DType::f64 ? 1e-15L : 1e-13L;
    long double error = 0;
    for (std::size_t i = 0; i < found.size(); ++i) error = std::max(error, std::abs(found[i] - expected[i]));
    EXPECT_LE(error, tolerance);
  });
}

INSTANTIATE_TEST_SUITE_P(All, EveryLayer,
                         testing::Combine(testing::ValuesIn(all_variants()),
                                          testing::Values(DType::f32, DType::f64, DType::tf32, DType::f16,
                                                          DType::bf16)),
                         [](const auto& test) {
                           return name_of_variant(std::get<0>(test.param)) + "_" +
                                  std::string(name_of(std::get<1>(test.param)));
                         });

Case attention_case(const Sizes& sizes, std::int64_t degree) {
  Case point = make_case({"attention"}, sizes);
  point.dtype = DType::f64;
  point.layout.tp = degree;
  return point;
}

// Pieces by columns, more than there are columns, and by rows.
TEST(OverlappingLayers, EqualTheirReferences) {
  if (world().size() > 4) GTEST_SKIP() << "the same at every number of ranks";
  struct Pieces {
    Sizes sizes;
    std::int64_t chunks;
  };
  const Pieces forms[] = {{{24, 48, 96, 12, 8, 2}, 2},
                          {{12, 24, 48, 6, 8, 8}, 5},
                          {{2, 16, 32, 1, 8, 8}, 40},
                          {{1040, 16, 32, 4, 8, 4}, 2}};
  for (const char* workload : {"row_linear", "mlp", "attention", "block"}) {
    for (const Pieces& form : forms) {
      for (const Pass pass : {Pass::forward, Pass::forward_backward}) {
        Variant variant{workload};
        variant.pass = pass;
        Case point = make_case(variant, form.sizes);
        point.overlap_chunks = form.chunks;
        point.num_layers = 2;
        point.layout.tp = world().size();
        normalise_case(point);
        if (!can_split(point)) continue;
        for (const Carrier& carrier : all_carriers(static_cast<int>(world().size()))) {
          if (carrier.name != "mpi" && carrier.name != "shm") continue;
          SCOPED_TRACE(testing::Message() << carrier.name << " " << case_to_json(point).dump());
          check_case(point, team_for(point), carrier);
        }
      }
    }
  }
}

// Heads that are narrower than hidden_size / num_heads, and wider.
TEST(OddHeads, EqualTheirReferences) {
  for (const char* workload : {"attention", "block", "model"}) {
    for (const auto& [head_dim, kv_heads] : {std::pair{2, 24}, {7, 2}, {16, 6}}) {
      for (const Pass pass : {Pass::forward, Pass::forward_backward}) {
        for (const bool in_rows : {false, true}) {
          Variant variant{workload};
          variant.pass = pass;
          variant.sequence_parallel = in_rows;
          Case point = make_case(variant, {24, 48, 96, 12, 24, kv_heads});
          point.dtype = DType::f64;
          point.head_dim = head_dim;
          point.num_layers = 2;
          point.layout.tp = world().size();
          normalise_case(point);
          SCOPED_TRACE(testing::Message() << case_to_json(point).dump());
          ASSERT_EQ(point.shape().head_size(), head_dim);
          if (can_split(point)) check_case(point, team_for(point), by_mpi(point));
        }
      }
    }
  }
}

// Each rank's first and last id is looked up, and is what should follow: nothing is off by one.
TEST(Vocabulary, HasTokensOnEachRanksEdges) {
  for (const std::int64_t vocabulary : {1, 2, 5, 29, 48}) {
    for (const char* workload : {"embedding", "lm_head", "model"}) {
      Variant variant{workload};
      variant.pass = Pass::forward_backward;
      Case point = make_case(variant, {360, 24, 48, 360, 24, 24, vocabulary});
      point.dtype = DType::f64;
      point.layout.tp = world().size();
      normalise_case(point);
      SCOPED_TRACE(testing::Message() << case_to_json(point).dump());
      const Shape shape = point.shape();
      for (const TensorName name : {TensorName::token_ids, TensorName::targets}) {
        const std::vector<std::int64_t> ids = generated_ids(point.seed, name, shape);
        for (std::int64_t rank = 0; rank < world().size(); ++rank) {
          const Range held = shape.held_vocabulary(rank);
          for (const std::int64_t edge : {held.begin, held.end - 1}) {
            if (held.size() > 0) {
              EXPECT_NE(std::find(ids.begin(), ids.end(), edge), ids.end()) << edge << " of " << vocabulary;
            }
          }
        }
      }
      if (can_split(point)) check_case(point, team_for(point), by_mpi(point));
    }
  }
}

// More rows than one tile of scores has.
TEST(AttentionLayer, WorksInTiles) {
  if (world().size() > 2) GTEST_SKIP() << "the same at every number of ranks";
  Case point = attention_case({300, 8, 8, 300, 4, 2}, world().size());
  point.pass = Pass::forward_backward;
  check_case(point, team_for(point), by_mpi(point));
}

// One new token, and several, behind tokens whose keys and values are in a cache.
TEST(AttentionLayer, LooksAtEarlierTokens) {
  for (const char* workload : {"attention", "block"}) {
    for (const Sizes& sizes :
         {Sizes{6, 24, 48, 1, 8, 4}, Sizes{6, 24, 48, 3, 8, 2}, Sizes{2, 24, 48, 2, 8, 8}}) {
      for (const std::int64_t context : {1, 5, 300}) {
        Case point = attention_case(sizes, world().size());
        point.workload = workload;
        point.context_length = context;
        point.num_layers = 2;
        normalise_case(point);
        SCOPED_TRACE(testing::Message() << case_to_json(point).dump());
        if (can_split(point)) check_case(point, team_for(point), by_mpi(point));
      }
    }
  }
}

}  // namespace
}  // namespace tpbench::test

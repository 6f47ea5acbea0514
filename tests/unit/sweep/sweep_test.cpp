#include "sweep/sweep.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "helpers.hpp"

namespace tpbench {
namespace {

using test::faults_of;
using test::message_of;
using test::parse;

constexpr std::string_view kDesignExample = R"({
  "name": "llama-8b-on-ethernet",
  "backend": "cpu", "dtype": ["f32"], "workload": ["row_linear", "mlp"], "pass": ["forward"],
  "hidden_size": [1024, 2048, 4096], "batch_size": [1, 16], "sequence_length": [1, 128],
  "tp_degree": [1, 2, 4, 8],
  "ffn_hidden_size": null, "num_heads": null, "num_kv_heads": null, "activation": "gelu", "num_layers": 1,
  "model": null,
  "algorithm": ["mpi"], "combine": "all_gather", "sequence_parallel": false,
  "overlap_chunks": [1], "placement": ["packed"], "groups": "one",
  "threads_per_rank": null, "seed": 1,
  "measure": {"warmup_steps": 3, "min_samples": 10, "max_samples": 200, "max_seconds": 5, "target_ci": 0.02,
              "epochs": 1, "order": "random", "cache": "warm"},
  "verify": "auto", "efficiency_floor": 0.5,
  "cases": [], "exclude": [{"hidden_size": 4096, "batch_size": 1}]
})";

std::vector<std::string> ids_of(const Sweep& sweep) {
  std::vector<std::string> ids;
  for (const Case& point : sweep.cases) ids.push_back(case_id(point));
  return ids;
}

TEST(Sweep, TheExampleOfTheDocumentation) {
  const Sweep sweep = parse(kDesignExample);
  EXPECT_EQ(sweep.name, "llama-8b-on-ethernet");
  EXPECT_EQ(sweep.cases.size(), 2U * 3 * 2 * 2 * 4 - 2U * 2 * 4);
  EXPECT_TRUE(sweep.remarks.empty());
  for (const Case& point : sweep.cases) EXPECT_FALSE(point.hidden_size == 4096 && point.batch_size == 1);
}

TEST(Sweep, ItsDefaultsAreThoseOfTheProgram) {
  const Sweep sweep = parse(R"({"hidden_size": 1024})");
  EXPECT_EQ(sweep.name, "sweep");
  ASSERT_EQ(sweep.cases.size(), 1U);
  Case expected;
  expected.hidden_size = 1024;
  normalise_case(expected);
  EXPECT_EQ(sweep.cases[0], expected);
  const MeasureSettings defaults;
  EXPECT_EQ(sweep.measure.warmup_steps, defaults.warmup_steps);
  EXPECT_EQ(sweep.measure.min_samples, defaults.min_samples);
  EXPECT_EQ(sweep.measure.max_samples, defaults.max_samples);
  EXPECT_EQ(sweep.measure.max_seconds, defaults.max_seconds);
  EXPECT_EQ(sweep.measure.target_ci, defaults.target_ci);
  EXPECT_EQ(sweep.measure.epochs, defaults.epochs);
  EXPECT_EQ(sweep.measure.order, defaults.order);
  EXPECT_EQ(sweep.measure.cache, defaults.cache);
  EXPECT_EQ(sweep.verify, VerifyMode::automatic);
  EXPECT_EQ(sweep.efficiency_floor, 0.5);
  EXPECT_EQ(sweep.seed, 1U);
}

TEST(Sweep, SettingsAreRead) {
  const Sweep sweep = parse(R"({"hidden_size": 8, "seed": 7, "verify": "sampled", "efficiency_floor": 1,
    "measure": {"warmup_steps": 0, "min_samples": 6, "max_samples": 6, "max_seconds": 0.5, "target_ci": 0.1,
                "epochs": 3, "order": "given", "cache": "cold"}})");
  EXPECT_EQ(sweep.measure.warmup_steps, 0);
  EXPECT_EQ(sweep.measure.min_samples, 6);
  EXPECT_EQ(sweep.measure.max_samples, 6);
  EXPECT_EQ(sweep.measure.max_seconds, 0.5);
  EXPECT_EQ(sweep.measure.target_ci, 0.1);
  EXPECT_EQ(sweep.measure.epochs, 3);
  EXPECT_EQ(sweep.measure.order, Order::given);
  EXPECT_EQ(sweep.measure.cache, CacheState::cold);
  EXPECT_EQ(sweep.verify, VerifyMode::sampled);
  EXPECT_EQ(sweep.efficiency_floor, 1.0);
  EXPECT_EQ(sweep.seed, 7U);
  EXPECT_EQ(sweep.cases[0].seed, 7U);
  EXPECT_EQ(sweep.cases[0].cache, CacheState::cold);
}

TEST(Sweep, CasesComeInTheOrderOfTheFieldsTheLastOneFastest) {
  const Sweep sweep = parse(R"({"tp_degree": [2, 1], "workload": ["mlp", "gemm"], "hidden_size": [64, 32]})");
  std::vector<std::string> fronts;
  for (const std::string& id : ids_of(sweep)) fronts.push_back(id.substr(0, id.rfind('-')));
  EXPECT_EQ(fronts, (std::vector<std::string>{"mlp-h64-b1-s1-tp2", "mlp-h64-b1-s1-tp1", "mlp-h32-b1-s1-tp2",
                                              "mlp-h32-b1-s1-tp1", "gemm-h64-b1-s1-tp2", "gemm-h64-b1-s1-tp1",
                                              "gemm-h32-b1-s1-tp2", "gemm-h32-b1-s1-tp1"}));
}

TEST(Sweep, PointsThatMeasureTheSameThingAreOneCase) {
  const Sweep sweep =
      parse(R"({"hidden_size": 64, "workload": ["gemm", "mlp"], "activation": ["gelu", "swiglu"],
                "cases": [{"workload": "mlp", "activation": "gelu", "ffn_hidden_size": 256}]})");
  EXPECT_EQ(sweep.cases.size(), 3U);  // one gemm, two mlp; the point says f = 4h, which is the default
}

TEST(Sweep, EveryIdIsThereOnce) {
  const Sweep sweep = parse(kDesignExample);
  const std::vector<std::string> ids = ids_of(sweep);
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), ids.size());
}

TEST(Sweep, APointTakesFromTheSweepWhatItDoesNotName) {
  const Sweep sweep = parse(R"({"hidden_size": 64, "tp_degree": [1, 2], "dtype": "f64",
                                "cases": [{"workload": "mlp", "hidden_size": 96, "seed": 5}]})");
  ASSERT_EQ(sweep.cases.size(), 4U);
  for (std::size_t i = 2; i < 4; ++i) {
    EXPECT_EQ(sweep.cases[i].workload, "mlp");
    EXPECT_EQ(sweep.cases[i].hidden_size, 96);
    EXPECT_EQ(sweep.cases[i].dtype, DType::f64);
    EXPECT_EQ(sweep.cases[i].seed, 5U);
    EXPECT_EQ(sweep.cases[i].layout.tp, static_cast<std::int64_t>(i - 1));
  }
}

TEST(Sweep, WithoutHiddenSizeOnlyThePointsCount) {
  for (const char* text : {R"({"tp_degree": [1, 2], "cases": [{"hidden_size": 96}]})",
                           R"({"hidden_size": null, "tp_degree": [1, 2], "cases": [{"hidden_size": 96}]})"}) {
    const Sweep sweep = parse(text);
    ASSERT_EQ(sweep.cases.size(), 2U);
    EXPECT_EQ(sweep.cases[1].hidden_size, 96);
    EXPECT_TRUE(sweep.resolved["hidden_size"].is_null());
  }
}

TEST(Sweep, ExcludeRemovesFromProductAndPoints) {
  const Sweep sweep = parse(R"({"hidden_size": [64, 128], "tp_degree": [1, 2, 4],
                                "cases": [{"hidden_size": 256, "tp_degree": 4}],
                                "exclude": [{"tp_degree": [4, 8]}, {"hidden_size": 64, "tp_degree": 2}]})");
  std::vector<std::pair<std::int64_t, std::int64_t>> left;
  for (const Case& point : sweep.cases) left.emplace_back(point.hidden_size, point.layout.tp);
  EXPECT_EQ(left, (std::vector<std::pair<std::int64_t, std::int64_t>>{{64, 1}, {128, 1}, {128, 2}}));
}

TEST(Sweep, ExcludeSeesDefaultsAndEmptyFields) {
  Sweep sweep = parse(R"({"hidden_size": [64, 128], "workload": ["mlp", "gemm"],
                          "exclude": [{"ffn_hidden_size": 256}]})");
  EXPECT_EQ(sweep.cases.size(), 3U);  // f = 4 x 64 of the first mlp
  sweep =
      parse(R"({"hidden_size": 64, "workload": ["mlp", "gemm"], "exclude": [{"ffn_hidden_size": null}]})");
  ASSERT_EQ(sweep.cases.size(), 1U);  // gemm has none
  EXPECT_EQ(sweep.cases[0].workload, "mlp");
}

TEST(Sweep, AnExcludeThatMatchesNothingIsRemarked) {
  const Sweep sweep = parse(R"({"hidden_size": 64, "tp_degree": [1, 2],
    "exclude": [{"tp_degree": 2}, {"tp_degree": 2, "hidden_size": 64}, {"workload": "attention"}]})");
  EXPECT_EQ(sweep.remarks, (std::vector<std::string>{"/exclude/2 matches no case"}));
}

TEST(Sweep, ResolvedIsASweepWithTheSameCasesAndTheSameResolved) {
  for (
      const std::string_view text :
      {kDesignExample, std::string_view(R"({"hidden_size": 1024})"),
       std::string_view(
           R"({"$schema": "x", "cases": [{"tp_degree": 2, "hidden_size": 64}], "exclude": [{"seed": 3}]})"),
       std::string_view(
           R"({"hidden_size": [1e3, 512.0], "measure": {"max_seconds": 0.5}, "threads_per_rank": [null, 2]})"),
       std::string_view(R"({"model": ["llama3-8b", "qwen2.5-7b"], "workload": ["block", "row_linear"],
                            "cases": [{"model": null, "hidden_size": 64}, {"model": "gpt3-13b"}]})"),
       std::string_view(R"({"model": "mistral-7b", "hidden_size": null, "activation": null,
                            "pass": ["forward", "forward_backward"], "sequence_parallel": [false, true],
                            "workload": "attention", "context_length": [0, 8], "norm": [null]})")}) {
    const Sweep once = parse(text, {"seed=9", "batch_size=1,4"});
    const Sweep twice = parse(once.resolved.dump(2));
    EXPECT_EQ(once.resolved.dump(), twice.resolved.dump());
    EXPECT_EQ(once.cases, twice.cases);
    EXPECT_EQ(once.seed, 9U);
    for (const auto& [key, node] : sweep_schema()["properties"].items()) {
      EXPECT_EQ(once.resolved.contains(key), key != "$schema") << key;
    }
    for (const auto& [key, node] : sweep_schema()["properties"]["measure"]["properties"].items()) {
      EXPECT_TRUE(once.resolved["measure"].contains(key)) << key;
    }
  }
}

TEST(Sweep, EqualSweepsResolveEqually) {
  const Sweep a =
      parse(R"({"hidden_size": 64, "tp_degree": [1, 2], "cases": [{"seed": 2, "tp_degree": 1}]})");
  const Sweep b = parse(R"({"cases": [{"tp_degree": 1.0, "seed": 2}], "tp_degree": [1, 2.0], "dtype": ["f32"],
                            "hidden_size": [64], "measure": {"max_seconds": 5.0}})");
  EXPECT_EQ(a.resolved.dump(), b.resolved.dump());
  EXPECT_NE(a.resolved.dump(), parse(R"({"hidden_size": 64})").resolved.dump());
}

TEST(Sweep, NullIsKept) {
  const Sweep sweep = parse(R"({"hidden_size": 64, "ffn_hidden_size": [null, 128]})");
  EXPECT_EQ(sweep.resolved["ffn_hidden_size"], Json::parse("[null, 128]"));
  EXPECT_EQ(sweep.resolved["threads_per_rank"], Json::parse("[null]"));
}

TEST(Sweep, WholeNumbersMayBeWrittenAsFloats) {
  const Sweep sweep = parse(R"({"hidden_size": 4096.0, "batch_size": 1e3})");
  EXPECT_EQ(sweep.cases.at(0).hidden_size, 4096);
  EXPECT_EQ(sweep.cases.at(0).batch_size, 1000);
}

TEST(SweepModels, SetTheShape) {
  const Sweep sweep = parse(R"({"model": ["llama3-8b", "gpt3-13b"], "workload": ["block", "row_linear"]})");
  ASSERT_EQ(sweep.cases.size(), 4U);
  const Case& llama = sweep.cases[0];
  EXPECT_EQ(llama.model, "llama3-8b");
  EXPECT_EQ(llama.hidden_size, 4096);
  EXPECT_EQ(llama.ffn_hidden_size, 14336);
  EXPECT_EQ(llama.num_heads, 32);
  EXPECT_EQ(llama.num_kv_heads, 8);
  EXPECT_EQ(llama.activation, Activation::swiglu);
  EXPECT_EQ(llama.norm, Norm::rms_norm);
  EXPECT_EQ(llama.num_layers, 1) << "one layer of 32: the whole model does not fit";
  EXPECT_EQ(sweep.cases[1].hidden_size, 5120);
  EXPECT_EQ(sweep.cases[1].norm, Norm::layer_norm);
  EXPECT_EQ(sweep.cases[2].workload, "row_linear");
  EXPECT_EQ(sweep.cases[2].hidden_size, 4096);
  EXPECT_EQ(sweep.cases[2].num_heads, std::nullopt);
  EXPECT_TRUE(sweep.resolved["hidden_size"].is_null());
}

// Of a whole model all layers run unless the sweep says otherwise; of other workloads one.
TEST(SweepModels, SetTheNumberOfLayersOfAWholeModel) {
  const Sweep sweep = parse(R"({"model": "llama3.2-1b", "workload": ["block", "model"]})");
  ASSERT_EQ(sweep.cases.size(), 2U);
  EXPECT_EQ(sweep.cases[0].num_layers, 1);
  EXPECT_EQ(sweep.cases[0].vocab_size, std::nullopt);
  EXPECT_EQ(sweep.cases[1].num_layers, 16);
  EXPECT_EQ(sweep.cases[1].vocab_size, 128256);
  EXPECT_EQ(sweep.cases[1].tie_embeddings, true);
  EXPECT_EQ(sweep.cases[1].scaled_from_layers, std::nullopt);
  EXPECT_EQ(parse(R"({"model": "llama3.2-1b", "workload": "model", "num_layers": 4})").cases[0].num_layers,
            4);
  EXPECT_EQ(
      parse(R"({"hidden_size": 64, "cases": [{"workload": "model", "model": "gpt2"}]})").cases[1].num_layers,
      12);
  EXPECT_NE(message_of(R"({"model": "gpt2", "workload": "model", "vocab_size": 100})"), "");
}

TEST(SweepModels, AreScaledFromFewerLayersThanTheyHave) {
  const Sweep sweep =
      parse(R"({"model": "gpt2", "workload": ["model", "block"], "scaled_from_layers": [null, 3, 12]})");
  ASSERT_EQ(sweep.cases.size(), 3U) << "all twelve layers are the whole model";
  EXPECT_EQ(sweep.cases[0].shape().num_layers, 12);
  EXPECT_EQ(sweep.cases[1].shape().num_layers, 3);
  EXPECT_EQ(sweep.cases[1].whole_shape().num_layers, 12);
  EXPECT_NE(case_id(sweep.cases[0]), case_id(sweep.cases[1]));
  EXPECT_EQ(sweep.cases[2].scaled_from_layers, std::nullopt);
}

// A folder of a version that knew no whole model is resumed with the file that it was made from.
TEST(Sweep, ResolvesTheNumberOfLayersAsItAlwaysDid) {
  for (const char* said : {"", R"(, "num_layers": null)", R"(, "num_layers": 1)"}) {
    const Sweep sweep = parse(R"({"hidden_size": 64, "workload": ["mlp", "gemm"])" + std::string(said) + "}");
    EXPECT_EQ(sweep.resolved["num_layers"], Json::parse("[1]"));
  }
  EXPECT_EQ(parse(R"({"hidden_size": 64, "workload": "model"})").resolved["num_layers"],
            Json::parse("[null]"));
}

// A sweep of a model's own file, as it would be started from another folder.
TEST(SweepModels, OfFilesAreReadBesideTheSweepFile) {
  const std::string place = std::string(TPBENCH_SOURCE_DIR) + "/tests/corpus/models/sweep.json";
  const auto parse_at = [](const char* model, const std::string& where) {
    return parse_sweep(fmt::format(R"({{"name": "files", "workload": "block", "model": {}}})", model), where,
                       {}, test::cpu_build());
  };
  const Sweep sweep = parse_at(R"(["qwen3-4b.json", "llama-3-8b.json"])", place);
  ASSERT_EQ(sweep.cases.size(), 2U);
  const Case& qwen = sweep.cases.front();
  EXPECT_EQ(qwen.hidden_size, 2560);
  EXPECT_EQ(qwen.num_heads, 32);
  EXPECT_EQ(qwen.head_dim, 128);
  EXPECT_EQ(sweep.model_of(qwen)->num_layers, 36);
  ASSERT_EQ(sweep.remarks.size(), 1U);
  EXPECT_NE(sweep.remarks.front().find("norms of queries and keys"), std::string::npos);

  // The resolved sweep has the shape and goes on without the file.
  const Sweep again = parse_sweep(sweep.resolved.dump(), "/nowhere/sweep.json", {}, test::cpu_build());
  EXPECT_EQ(again.cases, sweep.cases);
  EXPECT_EQ(again.resolved, sweep.resolved);

  // Two files of one shape are one case, and where the file lies is not in the id.
  EXPECT_EQ(parse_at(R"(["llama-3-8b.json", "quantised.json"])", place).cases.size(), 1U);
  EXPECT_EQ(case_id(parse_at(R"("../models/qwen3-4b.json")", place).cases.front()), case_id(qwen));

  EXPECT_THROW(parse_at(R"("nowhere.json")", place), UsageError);
  EXPECT_THROW(parse_at(R"("mixtral-8x7b.json")", place), UsageError);
}

TEST(SweepModels, StandBesideOtherAxes) {
  const Sweep sweep =
      parse(R"({"model": "llama3-8b", "workload": "block", "num_layers": [1, 2], "tp_degree": [1, 2],
                                "hidden_size": null, "norm": [null], "activation": null})");
  EXPECT_EQ(sweep.cases.size(), 4U);
}

TEST(SweepModels, OfAPointStandInPlaceOfTheShapeOfTheSweep) {
  const Sweep sweep = parse(R"({"hidden_size": [64, 128], "activation": ["gelu", "swiglu"], "workload": "mlp",
                                "cases": [{"model": "llama3-8b", "tp_degree": 2}]})");
  ASSERT_EQ(sweep.cases.size(), 5U);  // the point is not expanded over shapes that are not its own
  EXPECT_EQ(sweep.cases[4].hidden_size, 4096);
  EXPECT_EQ(sweep.cases[4].layout.tp, 2);
  EXPECT_EQ(sweep.cases[0].model, std::nullopt);
}

TEST(SweepModels, OfTheSweepAreThoseOfItsPoints) {
  const Sweep sweep = parse(R"({"model": ["llama3-8b", "gpt3-13b"],
                                "cases": [{"tp_degree": 2}, {"model": null, "hidden_size": 96}]})");
  ASSERT_EQ(sweep.cases.size(), 5U);
  EXPECT_EQ(sweep.cases[2].model, "llama3-8b");
  EXPECT_EQ(sweep.cases[3].model, "gpt3-13b");
  EXPECT_EQ(sweep.cases[3].layout.tp, 2);
  EXPECT_EQ(sweep.cases[4].model, std::nullopt);
  EXPECT_EQ(sweep.cases[4].hidden_size, 96);
}

TEST(SweepModels, CanBeExcludedAndFilteredAndSet) {
  const Sweep sweep = parse(R"({"model": ["llama3-8b", "mistral-7b"], "tp_degree": [1, 2],
                                "cases": [{"model": null, "hidden_size": 96}],
                                "exclude": [{"model": "mistral-7b", "tp_degree": 2}]})");
  ASSERT_EQ(sweep.cases.size(), 5U);
  const auto kept = [&](const char* filter) {
    return filter_cases(sweep.cases, std::vector<std::string>{filter}).size();
  };
  EXPECT_EQ(kept("model=llama3-8b"), 2U);
  EXPECT_EQ(kept("model=mistral-7b"), 1U);
  EXPECT_EQ(kept("model=null"), 2U);
  EXPECT_EQ(kept("hidden_size=4096"), 3U);
  EXPECT_EQ(parse(R"({"workload": "block"})", {"model=qwen2.5-7b,llama3-8b"}).cases.size(), 2U);
  EXPECT_EQ(parse(R"({"hidden_size": 64})", {"model=llama3-8b", "hidden_size=null"}).cases.at(0).model,
            "llama3-8b");
  EXPECT_EQ(
      message_of("{\n\"hidden_size\": 64}", {"model=llama3-8b"}),
      "sweep.json:2: /hidden_size: 64: must be left out, or null, with model \"llama3-8b\", which sets it");
  EXPECT_EQ(message_of(R"({"model": "llama3-8b"})", {"num_heads=64"}),
            "--set num_heads=64: /num_heads: 64: must be left out, or null, with model \"llama3-8b\", which "
            "sets it");
}

TEST(SweepModels, ANullExcludesWhatHasNone) {
  const Sweep sweep = parse(R"({"model": "llama3-8b", "cases": [{"model": null, "hidden_size": 96}],
                                "exclude": [{"model": null}]})");
  ASSERT_EQ(sweep.cases.size(), 1U);
  EXPECT_EQ(sweep.cases[0].model, "llama3-8b");
}

TEST(Sweep, PassesSequenceParallelismAndContextsAreAxes) {
  const Sweep sweep = parse(R"({"hidden_size": 256, "workload": ["block", "gemm"], "sequence_length": 8,
    "pass": ["forward", "forward_backward"], "sequence_parallel": [false, true], "context_length": [0, 16],
    "norm": ["layer_norm", "rms_norm"]})");
  EXPECT_EQ(sweep.cases.size(), 2U * 2 * 2 * 2 + 1) << "a probe has none of these";
  const Case& last = sweep.cases[15];
  EXPECT_EQ(last.pass, Pass::forward_backward);
  EXPECT_TRUE(last.sequence_parallel);
  EXPECT_EQ(last.context_length, 16);
  EXPECT_EQ(last.norm, Norm::rms_norm);
}

TEST(Sweep, TokensThatAreKeptCountAsTokens) {
  EXPECT_EQ(parse(R"({"hidden_size": 64, "workload": "block", "batch_size": 63, "context_length": 1048576})")
                .cases.size(),
            1U);
  EXPECT_EQ(parse(R"({"hidden_size": 64, "workload": "mlp", "batch_size": 64, "context_length": 1048576})")
                .cases.size(),
            1U)
      << "an mlp keeps none";
}

TEST(SweepFaults, HaveFileLinePointerValueAndRule) {
  EXPECT_EQ(message_of("{\n\n\n\"hidden_size\":\n[1024, -3]}"),
            "sweep.json:5: /hidden_size/1: -3: must be a whole number from 1 to 262144");
  Availability poor = test::cpu_build();
  poor.workloads = {"gemm", "mlp"};
  try {
    parse_sweep(R"({"hidden_size": 64, "workload": ["mlp", "attention"]})", "sweep.json", {}, poor);
    FAIL() << "accepted";
  } catch (const UsageError& error) {
    EXPECT_STREQ(
        error.what(),
        "sweep.json:1: /workload/1: \"attention\": is not available in this build; available: gemm, mlp");
  }
}

TEST(SweepFaults, AreCutWhenThereAreThousands) {
  std::string points;
  for (int i = 0; i < 5000; ++i) points += (i > 0 ? "," : "") + std::string("{\"tp\": 1}");
  const std::vector<Fault> faults = faults_of("{\"hidden_size\": 64, \"cases\": [" + points + "]}");
  ASSERT_EQ(faults.size(), 201U);
  EXPECT_EQ(faults.back().rule, "has 4800 more faults");
}

TEST(SweepFaults, AreAllOnOneLineEach) {
  const std::string message = message_of(R"({"a\nb": "c\nd", "hidden_size": "\n"})");
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 1) << message;
}

TEST(SweepFile, ThatCannotBeReadIsAUsageError) {
  const std::filesystem::path folder = std::filesystem::temp_directory_path();
  const auto message = [](const std::filesystem::path& path) -> std::string {
    try {
      load_sweep(path, {}, test::cpu_build());
    } catch (const UsageError& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(message(folder), folder.string() + ": is a folder, not a sweep file");
  EXPECT_EQ(message("/nowhere/sweep.json"),
            "/nowhere/sweep.json: cannot be opened: No such file or directory");
  EXPECT_EQ(message("/dev/zero"), "/dev/zero:1: is larger than 1048576 bytes");
  EXPECT_NE(message("/dev/null").find("/dev/null:1: is empty"), std::string::npos);
}

TEST(SweepFile, OfTheExamplesIsValid) {
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(TPBENCH_SOURCE_DIR "/configs")) {
    if (entry.path().extension() != ".json") continue;
    ++files;
    const Sweep sweep = load_sweep(entry.path(), {}, test::cpu_build());
    EXPECT_EQ(sweep.name, entry.path().stem().string());
    EXPECT_TRUE(sweep.remarks.empty());
    if (sweep.name == "quickstart") {
      EXPECT_LE(sweep.cases.size(), 24U);
    }
  }
  EXPECT_GE(files, 4U);
}

TEST(Sweep, ALargeOneExpandsAndOneCaseMoreIsRefused) {
  const auto numbers = [](int count) {
    Json list = Json::array();
    for (int i = 1; i <= count; ++i) list.push_back(i);
    return list.dump();
  };
  const std::string text = "{\"hidden_size\": " + numbers(1000) + ", \"tp_degree\": " + numbers(100) + "}";
  EXPECT_EQ(parse(text).cases.size(), 100'000U);
  const std::string more =
      text.substr(0, text.size() - 1) + ", \"cases\": [{\"hidden_size\": 2000, \"tp_degree\": 1}]}";
  EXPECT_EQ(message_of(more), "sweep.json:1: must not expand to more than 100000 cases");
  // A point with a model is not expanded over shapes that are not its own.
  const std::string with_model = "{\"hidden_size\": " + numbers(1000) + ", \"tp_degree\": " + numbers(60) +
                                 ", \"cases\": [{\"model\": \"llama3-8b\"}]}";
  EXPECT_EQ(parse(with_model).cases.size(), 60'060U);
}

}  // namespace
}  // namespace tpbench

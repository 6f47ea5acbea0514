#include "cli/plan_options.hpp"

#include <fmt/format.h>

#include "cli/option_values.hpp"

namespace tpbench {
namespace {

constexpr std::int64_t kMostRanks = 1 << 20, kMostSequences = 1 << 20, kMostOfOne = 1 << 24;
constexpr std::int64_t kMostTogether = std::int64_t{1} << 31;

std::int64_t whole_number(const std::string& text, const std::string& option, std::int64_t most) {
  const std::optional<std::int64_t> number = number_from<std::int64_t>(text);
  if (!number || *number < 1 || *number > most)
    throw CLI::ValidationError(option, fmt::format("{}: must be a whole number from 1 to {}", text, most));
  return *number;
}

template <typename Number>
CLI::Option* add_number(CLI::App& app, const std::string& option, Number& number, std::int64_t most,
                        const char* what) {
  return app
      .add_option_function<std::string>(
          option,
          [&number, option, most](const std::string& text) { number = whole_number(text, option, most); },
          what)
      ->type_name("N");
}

template <typename E>
void add_word(CLI::App& app, const std::string& option, std::optional<E>& word, const char* type,
              const char* what) {
  app.add_option_function<std::string>(
         option, [&word, option](const std::string& name) { word = named<E>(name, option); }, what)
      ->type_name(type);
}

void add_model_options(CLI::App& app, PlanLine& line) {
  app.add_option("--model", line.model, "A preset (tpbench models), or a model's config.json")
      ->required()
      ->type_name("NAME");
  app.add_flag("--training", line.trains, "Plan a training step; inference otherwise");
  add_number(app, "--batch", line.batch_size, kMostSequences,
             "Sequences of a step, over all copies of the model [1; with --training it must be given]");
  add_number(app, "--sequence", line.sequence_length, kMostOfOne,
             "Tokens of a prompt, or of a sequence that is trained on [2048]");
  add_number(app, "--context", line.context_length, kMostOfOne,
             "Inference: tokens that the next one looks back at [those of --sequence]");
  add_word(app, "--goal", line.goal, "GOAL",
           "Inference: latency (time of a token) or throughput (tokens a second) [latency]");
  add_word(app, "--recompute", line.recompute, "WHAT",
           "Training: what of a layer backward computes again: none, selective (attention) or full "
           "[selective]");
  app.add_flag("--sequence-parallel", line.sequence_parallel,
               "Split rows outside of the layers where TP is above 1");
}

void add_machine_options(CLI::App& app, PlanLine& line) {
  add_number(app, "--ranks", line.ranks, kMostRanks, "Ranks that there are")->required();
  add_number(app, "--ranks-per-host", line.ranks_per_host, kMostRanks,
             "Ranks of one host [as measured, or all]");
  add_memory_option(app, line.memory_per_rank, "Memory of a rank, 24GB or 80GiB: what is larger is left out");
  app.add_option("--fabric", line.fabrics,
                 "Another network than was measured, between hosts: a probe's file or "
                 "alpha=20us,bandwidth=12.5GB/s; inside:... for one inside hosts")
      ->type_name("FABRIC")
      ->allow_extra_args(false);
  add_word(app, "--dtype", line.dtype, "DTYPE", "Of weights and activations [the one that was measured]");
  app.add_option("--backend", line.backend, "Whose rates count [the one that was measured]")
      ->type_name("NAME");
  app.add_option(
         "--library", line.library,
         "That multiplies matrices on cpu: openblas, onednn or onednn_packed [the one that was measured]")
      ->type_name("NAME");
  app.add_option("--algorithm", line.algorithm, "Of the collectives [the one that was measured, or mpi]")
      ->type_name("NAME");
  add_number(app, "--threads-per-rank", line.threads_per_rank, 4096,
             "Whose rates count, where several were measured");
}

}  // namespace

void add_memory_option(CLI::App& app, std::optional<std::int64_t>& bytes, const char* what) {
  app.add_option_function<std::string>(
         "--memory-per-rank",
         [&bytes](const std::string& text) {
           const std::optional<std::int64_t> size = size_from(text);
           if (!size || *size < 1)
             throw CLI::ValidationError(
                 "--memory-per-rank",
                 text + ": must be a whole number of bytes above 0, such as 24GB, 80GiB or 500MB");
           bytes = size;
         },
         what)
      ->type_name("SIZE");
}

std::optional<std::int64_t> size_from(const std::string& text) {
  try {
    std::string plain = text;
    if (CLI::AsSizeValue(/*kb_is_1000=*/true)(plain).empty()) return number_from<std::int64_t>(plain);
  } catch (const CLI::ValidationError&) {
    // Its words are about types of the program, those of the caller follow.
  }
  return std::nullopt;
}

void add_plan_options(CLI::App& app, PlanLine& line) {
  app.add_option("measured", line.measured,
                 "What was measured: result folders, files of tpbench probe, calibration files")
      ->required()
      ->type_name("DIR...");
  add_model_options(app, line);
  add_machine_options(app, line);
  app.add_option("--write-sweep", line.next_sweep,
                 "Also write the sweep that would tell the best splits apart")
      ->type_name("FILE");
  app.add_option_function<std::string>(
         "--format", [&line](const std::string& name) { line.format = named<Format>(name, "--format"); },
         "What goes to stdout: table, csv, json, jsonl, markdown or none [table]")
      ->type_name("FORMAT");
}

void check_plan_options(const PlanLine& line) {
  if (line.trains) {
    if (line.goal)
      throw CLI::ValidationError(
          "--goal",
          fmt::format("{}: is for inference; training is for tokens a second", name_of(*line.goal)));
    if (line.context_length)
      throw CLI::ValidationError(
          "--context",
          fmt::format("{}: is for inference; training has no earlier tokens", *line.context_length));
    if (!line.batch_size) throw CLI::RequiredError("plan --training: --batch N");
  } else if (line.recompute) {
    throw CLI::ValidationError(
        "--recompute",
        fmt::format("{}: is for --training; inference keeps nothing for backward", name_of(*line.recompute)));
  }
  const std::int64_t prompt = line.sequence_length.value_or(2048);
  if (line.context_length && *line.context_length < prompt)
    throw CLI::ValidationError(
        "--context", fmt::format("{}: must be at least --sequence {}: a token looks back at its prompt",
                                 *line.context_length, prompt));
  const std::int64_t sequences = line.batch_size.value_or(1);
  for (const auto& [option, tokens] :
       {std::pair("--sequence", prompt), std::pair("--context", line.context_length.value_or(1))}) {
    if (sequences * tokens > kMostTogether)
      throw CLI::ValidationError(
          option, fmt::format("{}: times --batch {} is beyond 2^31 tokens", tokens, sequences));
  }
}

}  // namespace tpbench

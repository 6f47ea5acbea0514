#include "cli/predict_options.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>

#include "base/text.hpp"

namespace tpbench {
namespace {

std::int64_t ranks_from(const std::string& text, const std::string& option) {
  constexpr std::int64_t kMost = 1 << 20;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 1 || number > kMost)
    throw CLI::ValidationError(option, fmt::format("{}: must be a whole number from 1 to {}", text, kMost));
  return number;
}

CompareFormat prediction_format(const std::string& name) {
  if (const auto format = enum_from_name<CompareFormat>(name)) return *format;
  throw CLI::ValidationError("--format", name + ": must be table or csv or json or markdown or none");
}

}  // namespace

void add_predict_options(CLI::App& app, PredictLine& line) {
  app.add_option("measured", line.measured,
                 "What was measured: result folders, files of tpbench probe, or one calibration")
      ->type_name("DIR...");
  app.add_option_function<std::string>(
         "--degree",
         [&line](const std::string& text) {
           for (const std::string& degree : split(text, ','))
             line.degrees.push_back(ranks_from(degree, "--degree"));
         },
         "TP degrees to predict: 16,32")
      ->type_name("N[,N]");
  app.add_option(
         "--shape", line.shapes,
         "Fields of a case to change in every shape that was measured: batch_size=4,hidden_size=8192; "
         "may be repeated, each a shape of its own")
      ->type_name("KEY=VALUE[,...]")
      ->allow_extra_args(false);
  app.add_option("--fabric", line.fabrics,
                 "Another network than was measured, between hosts: a probe's file or "
                 "alpha=20us,bandwidth=12.5GB/s; inside:... for one inside hosts")
      ->type_name("FABRIC")
      ->allow_extra_args(false);
  app.add_option_function<std::string>(
         "--ranks-per-host",
         [&line](const std::string& text) { line.ranks_per_host = ranks_from(text, "--ranks-per-host"); },
         "Ranks of one host [as measured, or all]")
      ->type_name("K");
  app.add_option("--calibration", line.calibration,
                 "Predict by this file in place of a fit: folders then only say which shapes")
      ->type_name("FILE");
  app.add_option("--save-calibration", line.save_calibration, "Also write the fit to this file")
      ->type_name("FILE");
  app.add_flag("--check", line.check,
               "Compare what was measured with predictions by a fit without its shape, or by --calibration");
  app.add_option_function<std::string>(
         "--format", [&line](const std::string& name) { line.format = prediction_format(name); },
         "What goes to stdout: table, csv, json, markdown or none [table]")
      ->type_name("FORMAT");
}

void check_predict_options(const PredictLine& line) {
  if (line.measured.empty() && line.calibration.empty())
    throw CLI::RequiredError("predict: a result folder, or --calibration FILE");
  const auto refuse_beside_check = [&](bool given, const char* option) {
    if (line.check && given)
      throw CLI::ValidationError("--check",
                                 fmt::format("compares what was measured; it takes no {}", option));
  };
  refuse_beside_check(!line.degrees.empty(), "--degree");
  refuse_beside_check(!line.shapes.empty(), "--shape");
  refuse_beside_check(!line.fabrics.empty(), "--fabric");
  refuse_beside_check(line.ranks_per_host.has_value(), "--ranks-per-host");
  if (line.check && line.measured.empty())
    throw CLI::RequiredError("predict --check: a result folder to compare with");
  if (!line.calibration.empty() && !line.save_calibration.empty())
    throw CLI::ValidationError("--save-calibration", "writes a fit, and --calibration is one already");
}

}  // namespace tpbench

// check_records DIR: holds a result folder against the published schemas, and every record against what must
// be true of it whatever was measured. check_records --probe FILE: the document of a probe, and the
// environment in it. Prints what is wrong; exit status 1 when anything is.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/json_schema.hpp"

namespace fs = std::filesystem;
using tpbench::Json;
using tpbench::JsonSchema;

namespace {

class Checker {
 public:
  void check_folder(const fs::path& folder) {
    check_file(folder / "sweep.json", schema("sweep"));
    check_file(folder / "run.json", schema("run"));
    int environments = 0, records = 0;
    for (const fs::path& file : files_in(folder)) {
      const std::string name = file.filename().string();
      if (name.starts_with("environment") && name.ends_with(".json")) {
        check_file(file, schema("environment"));
        ++environments;
      }
    }
    if (environments == 0) complain(folder, "there is no environment.json");
    const JsonSchema record_schema = schema("record");
    for (const fs::path& file : files_in(folder / "records")) {
      if (file.extension() != ".json") continue;
      ++records;
      const Json record = check_file(file, record_schema);
      if (record.is_object()) check_record(file, record);
    }
    fmt::print("{} records, {} faults\n", records, faults_);
  }
  void check_probe(const fs::path& file) {
    const Json probe = check_file(file, schema("probe"));
    if (!probe.is_object() || !probe.contains("environment")) return;
    for (const auto& fault : schema("environment").validate(probe.at("environment"))) {
      complain(file, fmt::format("/environment{}: {}", fault.pointer, fault.description));
    }
  }
  [[nodiscard]] bool passed() const { return faults_ == 0; }

 private:
  void complain(const fs::path& place, const std::string& fault) {
    fmt::print("{}: {}\n", place.string(), fault);
    ++faults_;
  }

  static std::vector<fs::path> files_in(const fs::path& folder) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
  }

  static Json read(const fs::path& file) {
    std::ifstream stream(file);
    if (!stream) throw std::runtime_error(file.string() + ": cannot be read");
    return Json::parse(stream);
  }

  static JsonSchema schema(const std::string& name) {
    return JsonSchema(read(fs::path(TPBENCH_SOURCE_DIR) / "docs" / (name + ".schema.json")));
  }

  Json check_file(const fs::path& file, const JsonSchema& schema) {
    Json document;
    try {
      document = read(file);
    } catch (const std::exception& error) {
      complain(file, error.what());
      return document;
    }
    for (const auto& fault : schema.validate(document)) {
      complain(file, fmt::format("{}: {}", fault.pointer, fault.description));
    }
    return document;
  }

  void check_record(const fs::path& file, const Json& record) {
    try {
      if (record.at("id") != file.stem().string()) complain(file, "holds the id " + record.at("id").dump());
      const fs::path environment =
          file.parent_path().parent_path() / record.at("environment").get<std::string>();
      if (!fs::exists(environment)) complain(file, "names an environment that is not there");
      if (record.at("status") == "ok") {
        check_closure(file, record);
        check_memory(file, record);
      } else {
        check_not_ok(file, record);
      }
    } catch (const Json::exception& error) {
      complain(file, error.what());
    }
  }

  void check_not_ok(const fs::path& file, const Json& record) {
    for (const char* key : {"reason", "reason_code"}) {
      if (record.at(key).is_null()) complain(file, fmt::format("is not ok and has no {}", key));
    }
    for (const char* key : {"time_s", "samples_s"}) {
      if (!record.at(key).is_null()) complain(file, fmt::format("is not ok and has {}", key));
    }
    for (const auto& [key, value] : record.at("scaling").items()) {
      if (!value.is_null()) complain(file, fmt::format("is not ok and has scaling.{}", key));
    }
  }

  // The parts that a record has add up to the step, for the means and for each sample: those of messages
  // between stages are null without stages.
  void check_closure(const fs::path& file, const Json& record) {
    const Json &time = record.at("time_s"), &samples = record.at("samples_s");
    // Where clocks are not known well enough there is no communication, and nothing to add up.
    if (time.at("communication").is_null() || time.at("other").is_null()) return;
    const auto mean = [&](const char* quantity) { return time.at(quantity).at("mean").get<double>(); };
    std::vector<const char*> parts = {"compute", "communication", "other"};
    const bool has_stages = record.at("case").at("pp_degree") != 1;
    for (const char* part : {"boundary", "input_wait", "end_wait"}) {
      if (time.at(part).is_null() && has_stages) return;
      if (has_stages) parts.push_back(part);
      if (!has_stages && !time.at(part).is_null()) complain(file, fmt::format("has {} and no stages", part));
    }
    double means = 0;
    for (const char* part : parts) means += mean(part);
    if (!close(means, mean("step")))
      complain(file, fmt::format("the parts' means add up to {} and the step's is {}", means, mean("step")));
    const Json& step = samples.at("step");
    for (std::size_t k = 0; k < step.size(); ++k) {
      double sum = 0;
      for (const char* part : parts) sum += samples.at(part).at(k).get<double>();
      if (!close(sum, step.at(k).get<double>()))
        complain(file, fmt::format("sample {}: the parts do not add up", k));
    }
    if (step.size() != time.at("step").at("samples").get<std::size_t>()) {
      complain(file, "the number of samples is not that of samples_s");
    }
  }

  void check_memory(const fs::path& file, const Json& record) {
    const Json& memory = record.at("memory_bytes");
    const Json& packing = record.at("compute").value("packing", Json());
    const std::int64_t added = packing.is_null() ? 0 : packing.at("added_bytes").get<std::int64_t>();
    if (memory.at("peak").get<std::int64_t>() - added != memory.at("predicted_peak")) {
      complain(file, fmt::format("peak is {} bytes, predicted were {}", memory.at("peak").dump(),
                                 memory.at("predicted_peak").dump()));
    }
    const Json& reduction = record.at("scaling").at("weights_reduction");
    const Json& point = record.at("case");
    const double degree = point.at("tp_degree").get<double>() * point.at("pp_degree").get<double>();
    // What several ranks hold does not fall, and a padded vocabulary is longer than that of one rank.
    const Json& padded = record.at("padded_vocabulary");
    if (!packing.is_null() && packing.at("bytes") != 0) return;  // rounded up as the library likes
    const bool replicates =
        memory.at("replicated_weights") != 0 || (!padded.is_null() && padded != point.at("vocab_size"));
    const double found = reduction.is_null() ? degree : reduction.get<double>();
    // The ends of a model are on two of its stages: the rank that holds most may have less of its weights.
    if (point.at("workload") == "model" && point.at("pp_degree") != 1) return;
    if (replicates ? found > degree : found != degree) {
      complain(file, fmt::format("weights fall by {} on {} ranks", reduction.dump(), degree));
    }
  }

  static bool close(double a, double b) {
    return std::abs(a - b) <= 1e-9 * std::max(std::abs(a), std::abs(b));
  }

  int faults_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const bool probe = argc == 3 && std::string(argv[1]) == "--probe";
  if (argc != 2 && !probe) {
    fmt::print(stderr, "Usage: check_records DIR | --probe FILE\n");
    return 2;
  }
  Checker checker;
  try {
    if (probe)
      checker.check_probe(argv[2]);
    else
      checker.check_folder(argv[1]);
  } catch (const std::exception& error) {
    fmt::print("{}\n", error.what());
    return 1;
  }
  return checker.passed() ? 0 : 1;
}

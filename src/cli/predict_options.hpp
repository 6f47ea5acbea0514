#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "report/compare_render.hpp"

namespace CLI {
class App;
}

namespace tpbench {

/// What was typed behind `tpbench predict`.
struct PredictLine {
  std::vector<std::string> measured;  ///< result folders, probe files, or one calibration
  std::vector<std::int64_t> degrees;
  std::vector<std::string> shapes;
  std::vector<std::string> fabrics;
  std::optional<std::int64_t> ranks_per_host;  ///< empty: as measured
  std::string calibration;                     ///< file to read; empty: fitted from `measured`
  std::string save_calibration;                ///< file to write; empty: none
  bool check = false;
  CompareFormat format = CompareFormat::table;
};

void add_predict_options(CLI::App& app, PredictLine& line);
/// Rules that concern several options. Throws CLI::ValidationError.
void check_predict_options(const PredictLine& line);

}  // namespace tpbench

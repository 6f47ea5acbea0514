#include "report/probe_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/units.hpp"
#include "report/common_text.hpp"
#include "report/text_table.hpp"

namespace tpbench {
namespace {

using Align = TextTable::Align;

// Powers of two are what is measured: 4 KiB says more than 4.10 kB.
std::string format_size(std::int64_t bytes) {
  constexpr std::pair<std::int64_t, const char*> kUnits[] = {
      {std::int64_t{1} << 30, "GiB"}, {std::int64_t{1} << 20, "MiB"}, {std::int64_t{1} << 10, "KiB"}};
  for (const auto& [unit, name] : kUnits) {
    if (bytes % unit == 0) return fmt::format("{} {}", bytes / unit, name);
  }
  return fmt::format("{} B", bytes);
}

std::string ranks_of(const ProbedPath& path) {
  if (path.ranks.size() == 2) return fmt::format("{}-{}", path.ranks[0], path.ranks[1]);
  return fmt::format("{} ranks", path.ranks.size());
}

std::string place_of(const ProbedPath& path) {
  if (path.hosts.size() > 2) return fmt::format("{} hosts", path.hosts.size());
  return fmt::format("{}", fmt::join(path.hosts, " - "));
}

std::vector<std::string> name_cells(const ProbedPath& path) {
  return {place_of(path), std::string(name_of(path.operation)), ranks_of(path)};
}

void add_name_columns(TextTable& table) {
  for (const char* heading : {"path", "operation", "ranks"}) table.add_column(heading, Align::left);
}

std::string bandwidth(double beta_s_per_byte) {
  return beta_s_per_byte > 0 ? fmt::format("{:.3g} GB/s", 1e-9 / beta_s_per_byte) : "-";
}

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

std::string piece_table(std::span<const ProbedPath> paths) {
  TextTable table;
  add_name_columns(table);
  for (const char* heading : {"from", "to", "alpha", "1/beta", "median dev", "max dev"})
    table.add_column(heading, Align::right);
  table.add_column("cut by", Align::left);
  for (const ProbedPath& path : paths) {
    for (const CostPiece& piece : path.pieces) {
      std::vector<std::string> cells = name_cells(path);
      const AlphaBeta& model = piece.model;
      for (std::string cell :
           {format_size(piece.from_bytes), format_size(piece.to_bytes), format_seconds(model.alpha_s),
            bandwidth(model.beta_s_per_byte), percent(model.median_deviation), percent(model.max_deviation),
            std::string(path.cut == CutRule::eager_limit ? "eager limit" : "search")})
        cells.push_back(std::move(cell));
      table.add_row(std::move(cells));
    }
  }
  return table.to_string();
}

// About five sizes of all that there are, the smallest and the largest among them.
std::set<std::int64_t> shown_sizes(std::span<const ProbedPath> paths) {
  constexpr std::size_t kShown = 5;
  std::set<std::int64_t> sizes;
  for (const ProbedPath& path : paths) {
    for (std::size_t i = 0; i < kShown && !path.points.empty(); ++i)
      sizes.insert(path.points[i * (path.points.size() - 1) / (kShown - 1)].bytes);
  }
  return sizes;
}

std::string time_cell(const Summary& time) {
  if (!time.ci95 || time.median <= 0) return format_seconds(time.median);
  return fmt::format("{} +-{:.0f}%", format_seconds(time.median),
                     100 * ((*time.ci95)[1] - (*time.ci95)[0]) / 2 / time.median);
}

std::string time_table(std::span<const ProbedPath> paths) {
  TextTable table;
  add_name_columns(table);
  const std::set<std::int64_t> sizes = shown_sizes(paths);
  for (const std::int64_t bytes : sizes) table.add_column(format_size(bytes), Align::right);
  for (const ProbedPath& path : paths) {
    std::vector<std::string> cells = name_cells(path);
    for (const std::int64_t bytes : sizes) {
      const auto point = std::find_if(path.points.begin(), path.points.end(),
                                      [&](const ProbePoint& at) { return at.bytes == bytes; });
      cells.push_back(point == path.points.end() ? "" : time_cell(point->time_s));
    }
    table.add_row(std::move(cells));
  }
  return table.to_string();
}

// A path on which many medians are hardly known: its alpha and beta are no better.
std::string noise_lines(std::span<const ProbedPath> paths) {
  constexpr double kWide = 0.25;
  std::string text;
  for (const ProbedPath& path : paths) {
    const auto wide = std::count_if(path.points.begin(), path.points.end(), [](const ProbePoint& point) {
      const Summary& time = point.time_s;
      return time.ci95 && ((*time.ci95)[1] - (*time.ci95)[0]) / 2 > kWide * time.median;
    });
    if (wide > 0)
      text += wrapped_lines(
          fmt::format(
              "Mind: {} {} {}: {} of {} medians are known to no better than {}: other programs, or ranks "
              "that share a core",
              place_of(path), name_of(path.operation), ranks_of(path), wide, path.points.size(),
              format_percent(kWide)),
          "  ");
  }
  return text;
}

std::string describe_transport(const ProbedPath& path) {
  const Json& transport = path.transport;
  const std::string how = transport.value("how", "unknown");
  const auto framework = optional_from<std::string>(transport, "framework");
  const auto component = optional_from<std::string>(transport, "component");
  std::string text = fmt::format("{}: ", place_of(path));
  if (component)
    text += fmt::format("{} {} ({})", framework.value_or(""), *component, how);
  else
    text += how == "unknown" ? "what carries messages is unknown" : "several may carry messages (allowed)";
  text += fmt::format(": {}", transport.value("reason", ""));
  if (path.eager_limit_bytes) text += fmt::format("; eager limit {}", format_size(*path.eager_limit_bytes));
  if (transport.value("loopback", Json()) == true)
    text += "; both are one kernel, nothing leaves the machine";
  return text;
}

std::string transport_lines(std::span<const ProbedPath> paths) {
  std::string text;
  std::set<std::string> said;
  for (const ProbedPath& path : paths) {
    if (path.transport.is_null()) continue;
    const std::string line = describe_transport(path);
    if (!said.insert(line).second) continue;
    text += wrapped_lines(line, "  ");
  }
  return text;
}

std::string problem_lines(std::span<const ProbedPath> paths) {
  std::string text;
  for (const ProbedPath& path : paths) {
    if (path.problem)
      text += wrapped_lines(fmt::format("{} {} {} FAILED, no times: {}", place_of(path),
                                        name_of(path.operation), ranks_of(path), *path.problem),
                            "  ");
  }
  return text.empty() ? "" : text + '\n';
}

}  // namespace

std::string render_probe(std::span<const ProbedPath> paths) {
  return problem_lines(paths) +
         "A message of n bytes takes alpha + beta n (dev: how far that is from the medians measured)\n" +
         piece_table(paths) + "\nMedian times, with half the width of their exact 95 % intervals\n" +
         time_table(paths) + noise_lines(paths) +
         "\nWhat carried the messages, as far as the MPI library tells\n" + transport_lines(paths);
}

}  // namespace tpbench

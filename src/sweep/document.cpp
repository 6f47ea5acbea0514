#include "sweep/document.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/json.hpp"
#include "base/text.hpp"
#include "sweep/schema_check.hpp"
#include "sweep/sweep.hpp"

namespace tpbench {
namespace {

std::string trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(" \t") - begin + 1));
}

Json json_or_word(const std::string& text) {
  Json value = Json::parse(text, nullptr, false);
  return value.is_discarded() ? Json(text) : value;
}

// JSON, or else a list of pieces, or else a word. A key that holds a string takes what was typed: --set
// name=2024
Json value_from(const std::string& text, bool wants_string) {
  Json value = json_or_word(text);
  if (wants_string && !value.is_string()) return text;
  if (!value.is_string() || text.starts_with('"') || wants_string) return value;
  const std::vector<std::string> pieces = split(text, ',');
  if (pieces.size() < 2) return value;
  Json list = Json::array();
  for (const std::string& piece : pieces) list.push_back(json_or_word(trimmed(piece)));
  return list;
}

bool is_string_key(const std::string& key) {
  const Json& properties = sweep_schema()["properties"];
  return properties.contains(key) && properties[key].value("type", Json()) == "string";
}

// A key of a message stands on one line whatever the user put into it.
std::string printable(const std::string& pointer) {
  const bool plain = std::none_of(pointer.begin(), pointer.end(),
                                  [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (plain) return pointer;
  const std::string quoted = Json(pointer).dump();
  return quoted.substr(1, quoted.size() - 2);
}

}  // namespace

SweepDocument::SweepDocument(std::string_view text, std::string place, std::span<const std::string> overrides)
    : place_(std::move(place)) {
  JsonText read = read_json_text(text, place_);
  json_ = std::move(read.document);
  positions_ = std::move(read.positions);
  for (const std::string& override : overrides) apply(override);
  make_integral(json_);
}

void SweepDocument::apply(const std::string& override) {
  const std::string place = "--set " + override;
  const auto refuse = [&](std::string rule) { faults_.push_back({place, "", "", std::move(rule)}); };
  const std::size_t equals = override.find('=');
  if (equals == std::string::npos) return refuse("must have the form key=value");
  const std::string key = trimmed(std::string_view(override).substr(0, equals));
  const std::string text = trimmed(std::string_view(override).substr(equals + 1));
  if (key.empty()) return refuse("names no key before the =");
  if (text.empty()) return refuse("gives no value after the =");
  if (const auto fault = find_text_fault(override)) return refuse(fault->rule);

  if (Json::accept(text) && !find_json_positions(text).repeated.empty()) return refuse("gives a key twice");

  const bool in_measure = key.starts_with("measure.");
  Json value = value_from(text, is_string_key(key));
  if (value.is_string() && value.get_ref<const std::string&>().size() > kMaxStringBytes) {
    return refuse(fmt::format("must not be longer than {} bytes", kMaxStringBytes));
  }
  if (!json_.is_object()) return;  // the file's fault, which is reported
  Json* object = &json_;
  if (in_measure) {
    if (!json_.contains("measure")) json_["measure"] = Json::object();
    object = &json_["measure"];
    if (!object->is_object()) return;
  }
  const std::string name = in_measure ? key.substr(key.find('.') + 1) : key;
  const std::string pointer = (in_measure ? "/measure" : "") + pointer_step(name);
  (*object)[name] = std::move(value);
  std::erase_if(overridden_,
                [&](const auto& known) { return (known.first + "/").starts_with(pointer + "/"); });
  overridden_.emplace_back(pointer, place);
}

const std::string* SweepDocument::override_of(std::string_view pointer) const {
  const std::string within = std::string(pointer) + "/";
  for (auto known = overridden_.rbegin(); known != overridden_.rend(); ++known) {
    if (within.starts_with(known->first + "/")) return &known->second;
  }
  return nullptr;
}

// A value that is not there (a missing key) is where its parent is.
std::size_t SweepDocument::line_of(std::string pointer) const {
  for (;;) {
    if (const auto found = positions_.lines.find(pointer); found != positions_.lines.end())
      return found->second;
    if (pointer.empty()) return 1;
    pointer.erase(pointer.rfind('/'));
  }
}

void SweepDocument::refuse_if(const std::vector<Fault>& found) const {
  constexpr std::size_t kMostShown = 200;
  struct Placed {
    std::size_t line;
    Fault fault;
  };
  std::vector<Placed> placed;
  const auto in_file = [&](std::size_t line, const Fault& fault) {
    placed.push_back({line, {fmt::format("{}:{}", place_, line), fault.pointer, fault.value, fault.rule}});
  };
  for (const RepeatedKey& key : positions_.repeated) {
    if (override_of(key.pointer) != nullptr) continue;
    in_file(key.line, {"", key.pointer, "", fmt::format("appears twice (first on line {})", key.first_line)});
  }
  for (const Fault& fault : found) {
    if (const std::string* place = override_of(fault.pointer)) {
      placed.push_back(
          {std::numeric_limits<std::size_t>::max(), {*place, fault.pointer, fault.value, fault.rule}});
    } else {
      in_file(line_of(fault.pointer), fault);
    }
  }
  for (const Fault& fault : faults_) placed.push_back({std::numeric_limits<std::size_t>::max(), fault});
  if (placed.empty()) return;

  std::stable_sort(placed.begin(), placed.end(),
                   [](const Placed& a, const Placed& b) { return a.line < b.line; });
  std::vector<Fault> faults;
  for (Placed& entry : placed) {
    entry.fault.pointer = printable(entry.fault.pointer);
    if (faults.size() < kMostShown) faults.push_back(std::move(entry.fault));
  }
  if (placed.size() > kMostShown) {
    faults.push_back({place_, "", "", fmt::format("has {} more faults", placed.size() - kMostShown)});
  }
  throw UsageError(std::move(faults));
}

}  // namespace tpbench

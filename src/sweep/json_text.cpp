#include "sweep/json_text.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.hpp"

namespace tpbench {
namespace {

std::size_t line_at(std::string_view text, std::size_t byte) {
  const std::string_view before = text.substr(0, std::min(byte, text.size()));
  return 1 + static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
}

std::size_t column_at(std::string_view text, std::size_t byte) {
  const std::string_view before = text.substr(0, std::min(byte, text.size()));
  const std::size_t line_break = before.rfind('\n');
  return line_break == std::string_view::npos ? before.size() + 1 : before.size() - line_break;
}

bool is_utf8(std::string_view text) {
  try {
    static_cast<void>(Json(text).dump());  // the strict way to dump refuses what is not UTF-8
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

std::optional<TextFault> find_encoding_fault(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF"))
    return TextFault{1, "starts with a byte order mark; save it as plain UTF-8"};
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) {
    return TextFault{1, "is UTF-16; save it as UTF-8"};
  }
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return TextFault{line_at(text, nul), fmt::format("holds a NUL byte at column {}", column_at(text, nul))};
  }
  if (is_utf8(text)) return std::nullopt;
  std::size_t line = 1;
  for (std::string_view rest = text;; ++line) {
    const std::size_t end = rest.find('\n');
    if (!is_utf8(rest.substr(0, end)) || end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  return TextFault{line, "is not valid UTF-8"};
}

// Counts without parsing: a parser would spend memory and time on what is refused here.
class ExcessFinder {
 public:
  explicit ExcessFinder(std::string_view text) : text_(text) {}

  std::optional<TextFault> find() {
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      std::string rule;
      if (c == '"')
        rule = skip_string();
      else if (c == '[' || c == '{')
        rule = open(c);
      else if ((c == ']' || c == '}') && !open_.empty())
        open_.pop_back();
      else if (c == ',' && !open_.empty())
        rule = count_member();
      if (!rule.empty()) return TextFault{line_at(text_, at_), rule};
    }
    return std::nullopt;
  }

 private:
  struct Container {
    bool is_object = false;
    std::size_t members = 1;
  };

  std::string skip_string() {
    const std::size_t begin = at_++;
    while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\n') at_ += text_[at_] == '\\' ? 2 : 1;
    if (at_ - begin <= kMaxStringBytes + 1) return "";
    at_ = begin;
    return fmt::format("holds a string longer than {} bytes", kMaxStringBytes);
  }

  std::string open(char bracket) {
    open_.push_back({bracket == '{', 1});
    return open_.size() > kMaxNesting ? fmt::format("nests deeper than {} levels", kMaxNesting) : "";
  }

  std::string count_member() {
    Container& container = open_.back();
    const std::size_t most = container.is_object ? kMaxKeys : kMaxListed;
    if (++container.members <= most) return "";
    return fmt::format("holds {} than {} {}",
                       container.is_object ? "an object with more" : "a list with more", most,
                       container.is_object ? "keys" : "values");
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<Container> open_;
};

// Walks a valid JSON text once, with a stack of the open objects and lists.
class PositionScanner {
 public:
  explicit PositionScanner(std::string_view text) : text_(text) {}

  JsonPositions scan() {
    while (skip_space()) {
      const char c = text_[at_];
      if (c == '}' || c == ']') {
        open_.pop_back();
        ++at_;
      } else if (c == ',') {
        if (!open_.back().is_object) ++open_.back().index;
        open_.back().expects_key = open_.back().is_object;
        ++at_;
      } else if (c == ':') {
        ++at_;
      } else if (!open_.empty() && open_.back().expects_key) {
        open_.back().expects_key = false;
        open_.back().key = Json::parse(take_string()).get<std::string>();
      } else {
        take_value(c);
      }
    }
    return std::move(found_);
  }

 private:
  struct Container {
    std::string pointer;
    bool is_object = false;
    bool expects_key = false;
    std::size_t index = 0;
    std::string key;
  };

  bool skip_space() {
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\n')
        ++line_;
      else if (text_[at_] != ' ' && text_[at_] != '\t' && text_[at_] != '\r')
        return true;
    }
    return false;
  }

  std::string_view take_string() {
    const std::size_t begin = at_++;
    while (text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    return text_.substr(begin, ++at_ - begin);
  }

  void take_value(char first) {
    std::string pointer;
    if (!open_.empty()) {
      const Container& parent = open_.back();
      pointer =
          parent.pointer + (parent.is_object ? pointer_step(parent.key) : "/" + std::to_string(parent.index));
    }
    const auto [known, added] = found_.lines.try_emplace(pointer, line_);
    if (!added) {
      found_.repeated.push_back({pointer, line_, known->second});
      known->second = line_;
    }
    if (first == '{' || first == '[') {
      open_.push_back({pointer, first == '{', first == '{', 0, {}});
      ++at_;
    } else if (first == '"') {
      take_string();
    } else {
      at_ = std::min(text_.find_first_of(",]} \t\r\n", at_), text_.size());
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  std::vector<Container> open_;
  JsonPositions found_;
};

// nlohmann says "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while ...".
std::string words_of(const Json::exception& error) {
  const std::string what = error.what();
  for (const std::string_view before : {": syntax error ", ": "}) {
    if (const std::size_t found = what.find(before); found != std::string::npos) {
      return what.substr(found + before.size());
    }
  }
  return what;
}

[[noreturn]] void refuse(const std::string& place, const TextFault& fault) {
  throw UsageError({Fault{fmt::format("{}:{}", place, fault.line), "", "", fault.rule}});
}

// The exception names the number but not where it stands.
TextFault overflow_fault(std::string_view text, const Json::exception& error) {
  const std::string what = error.what();
  const std::size_t begin = what.find('\''), end = what.rfind('\'');
  if (begin == end) return {1, "holds a number that is out of range"};
  const std::string number = what.substr(begin + 1, end - begin - 1);
  const std::size_t byte = text.find(number);
  return {line_at(text, byte == std::string_view::npos ? 0 : byte),
          fmt::format("holds the number {}, which is out of the range of a double", number.substr(0, 40))};
}

}  // namespace

std::optional<TextFault> find_text_fault(std::string_view text) {
  if (text.size() > kMaxTextBytes) return TextFault{1, fmt::format("is larger than {} bytes", kMaxTextBytes)};
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    return TextFault{1, "is empty; a sweep is a JSON object, for example {\"hidden_size\": 1024}"};
  }
  if (auto fault = find_encoding_fault(text)) return fault;
  return ExcessFinder(text).find();
}

JsonPositions find_json_positions(std::string_view text) { return PositionScanner(text).scan(); }

JsonText read_json_text(std::string_view text, const std::string& place) {
  if (const auto fault = find_text_fault(text)) refuse(place, *fault);
  JsonText read;
  try {
    read.document = Json::parse(text);
  } catch (const Json::parse_error& error) {
    const std::size_t byte = error.byte > 0 ? error.byte - 1 : 0;
    refuse(place, {line_at(text, byte), fmt::format("is not valid JSON at column {}: {}",
                                                    column_at(text, byte), words_of(error))});
  } catch (const Json::exception& error) {
    refuse(place, overflow_fault(text, error));
  }
  read.positions = find_json_positions(text);
  return read;
}

std::string pointer_step(std::string_view key) {
  return (Json::json_pointer() / std::string(key)).to_string();
}

std::vector<std::string> pointer_tokens(std::string_view pointer) {
  std::vector<std::string> tokens;
  for (Json::json_pointer rest{std::string(pointer)}; !rest.empty(); rest.pop_back())
    tokens.push_back(rest.back());
  std::reverse(tokens.begin(), tokens.end());
  return tokens;
}

}  // namespace tpbench

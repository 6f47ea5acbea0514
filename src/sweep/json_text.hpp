#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/json.hpp"

namespace tpbench {

/// Bounds on the text of a sweep: far above what one needs, and low enough that no text is slow to read.
inline constexpr std::size_t kMaxTextBytes = 1 << 20;
inline constexpr std::size_t kMaxNesting = 64;
inline constexpr std::size_t kMaxKeys = 1000;  // of one object: ordered JSON looks each new key up in a list
inline constexpr std::size_t kMaxListed = 10000;  // values of one list
inline constexpr std::size_t kMaxStringBytes =
    1000;  // std::regex, behind "pattern", recurses once per character

/// A key that stands twice in one object.
struct RepeatedKey {
  std::string pointer;
  std::size_t line = 0;        ///< of the later one
  std::size_t first_line = 0;  ///< 1-based, as all lines here
};

/// Where each value of a JSON text stands.
struct JsonPositions {
  std::map<std::string, std::size_t> lines;  ///< JSON pointer -> line of the value's first character
  std::vector<RepeatedKey> repeated;
};

struct JsonText {
  Json document;
  JsonPositions positions;
};

/// A place in a text and what is wrong there.
struct TextFault {
  std::size_t line = 1;
  std::string rule;
};

/// What makes `text` unfit to be parsed at all: size, encoding, nesting,
/// excess. Cheap, and done before any parser sees it.
std::optional<TextFault> find_text_fault(std::string_view text);

/// Maps the values of `text`, which is valid JSON no deeper than kMaxNesting.
JsonPositions find_json_positions(std::string_view text);

/// Parses a JSON text. Throws UsageError, with the line, when it is none.
JsonText read_json_text(std::string_view text, const std::string& place);

/// One step of a JSON pointer: "/" and `key` with ~ and / escaped (RFC 6901).
std::string pointer_step(std::string_view key);

/// The steps of a JSON pointer, unescaped.
std::vector<std::string> pointer_tokens(std::string_view pointer);

}  // namespace tpbench

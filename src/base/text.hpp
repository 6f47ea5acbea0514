#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tpbench {

/// The candidate nearest to `word` by edit distance (a swap of neighbours counts as one edit), when it is
/// near enough to be a slip of the finger: at most a third of the word's length, and at most 3 edits. A name
/// that other programs use for a candidate ("gpu" for "cuda") comes first.
std::optional<std::string> closest_match(std::string_view word, std::span<const std::string> candidates);

/// " (did you mean \"x\"?)" or nothing.
std::string did_you_mean(std::string_view word, std::span<const std::string> candidates);

/// "a, b and c"
std::string join_words(std::span<const std::string> words, std::string_view last_separator = " and ");

/// "1 case", "2 cases"
std::string counted(std::size_t count, std::string_view noun);

/// Splits at every `separator`; keeps empty pieces.
std::vector<std::string> split(std::string_view text, char separator);

/// `word` so that a shell takes it as one word: as it is, or in single quotes.
std::string shell_quoted(std::string_view word);

/// FNV-1a, 64 bits: stable over machines and versions, which std::hash is not.
std::uint64_t stable_hash(std::string_view text);

}  // namespace tpbench
